import torch
import torch.nn.functional as F
import math

DECAY = 0.93
TOUCH = 0.3        # centres closer than this are in contact
GLIDE = 0.4        # way that a velocity of 1 still glides without pushing
SHARE = 0.25       # part of the remaining glide that is covered in one move
SHARE_TWO = 0.4375  # the same for two moves
NUDGE = 0.1        # sideways disturbance of the others' later positions

def length(x):
    return torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-4)

def pair_gaps(p, links):
    # every unordered pair of agents once: difference and distance of the centres
    diff = torch.matmul(p, links.t())
    return diff, torch.sqrt((diff * diff).sum(dim=1) + 1e-4)

def bumps(diff, gap, links):
    ratio = (torch.clamp(TOUCH - gap, min=0.0) / gap).unsqueeze(1)
    return torch.matmul(ratio * diff, 10.0 * GLIDE * links)

def touches(gap, width):
    return torch.sigmoid((TOUCH - gap) * (1.0 / width)).sum(dim=2)

def distances(p, form):
    # batch, landmark, variant, agent; squared distances as one matrix product
    square = (p * p).sum(dim=1, keepdim=True)
    rows = torch.cat([p, square, torch.ones_like(square)], dim=1).flatten(2)
    dist = torch.sqrt(torch.clamp(torch.matmul(form, rows), min=1e-5))
    return dist.reshape(-1, form.shape[1], p.shape[2], p.shape[3])

def drive(q, goal, reach):
    # steering: shifts the end of the glide towards the goal, limited in size
    want = goal - q
    return want * torch.clamp(reach / length(want), max=1.0)

def assign(dist, temp, rounds):
    # balanced soft assignment of agents (dim 3) to landmarks (dim 1)
    x = dist * (-1.0 / temp)
    for k in range(rounds):
        x = x - torch.logsumexp(x, dim=1, keepdim=True)
        x = x - torch.logsumexp(x, dim=3, keepdim=True)
    return torch.softmax(3.0 * x, dim=1)

def aims(plan, marks):
    goal = torch.matmul(marks.transpose(1, 2), plan.flatten(2))
    return goal.reshape(-1, 2, plan.shape[2], plan.shape[3])

def cover_loss(p, form, early, t):
    # softened sum of the distances to the nearest agents, times 3
    temp = 0.02 + 0.008 * t + 0.04 * early
    soft = torch.logsumexp(distances(p, form) * (-1.0 / temp), dim=3)
    return -3.0 * (DECAY ** t) * temp.reshape(-1, 1) * soft.sum(dim=1)

def move(p, q, goal, reach, links, t):
    diff, gap = pair_gaps(p, links)
    lost = (DECAY ** t) * touches(gap, 0.02 + 0.008 * t)
    q_next = q + drive(q, goal, reach) + bumps(diff, gap, links)
    return p + SHARE * (q - p), q_next, lost

def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss in the next steps and at the resting points: as the (coming) nearest agent
    to landmarks, or by making or breaking contacts. The variance is taken under steering to
    assigned landmarks and under gliding on, with the others disturbed to both sides."""
    own_pos = state["own_position"]
    n = own_pos.shape[1]
    marks = (own_pos.unsqueeze(2) + state["landmark_offset"]).mean(dim=1)
    centre = marks.mean(dim=1, keepdim=True)
    marks = marks - centre
    pos = (own_pos - centre).transpose(1, 2).unsqueeze(2)
    vel = state["own_velocity"].transpose(1, 2).unsqueeze(2)
    # constants: all pairs of agents, and the landmarks' part of squared distances
    eye = torch.diag(own_pos.new_ones(n))
    links = torch.stack([eye[i] - eye[j] for i in range(n) for j in range(i + 1, n)])
    square = (marks * marks).sum(dim=2, keepdim=True)
    form = torch.cat([-2.0 * marks, torch.ones_like(square), square + 1e-4], dim=2)
    open_now = distances(pos, form).min(dim=3)[0].mean(dim=1)
    early = torch.sigmoid((open_now - 0.3) / 0.08).reshape(-1, 1, 1, 1)
    temp_assign = 0.06 + 0.05 * early
    # intention: the last actions show in where the agent glides to
    plan = assign(distances(pos + 0.25 * vel, form), temp_assign, 5)
    goal = aims(plan, marks)
    way = goal - pos
    way_len = length(way)
    speed = length(vel)
    along = (vel * way).sum(dim=1, keepdim=True) / (way_len * (speed + 0.3))
    settled = torch.exp(-torch.clamp(way_len / 0.2, max=6.0) ** 2) / (1.0 + speed)
    purpose = (0.5 + 0.5 * along) * (1.0 - settled) + settled
    team_purpose = purpose.mean(dim=3, keepdim=True)
    # all variants: behaviour (major), agent, action (minor)
    acts = own_pos.new_tensor([[0.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    n_act = acts.shape[0]
    n_var = n * n_act
    own = eye.repeat_interleave(n_act, dim=0)
    impulse = GLIDE * acts.repeat(n, 1).t().unsqueeze(2) * own.unsqueeze(0)
    impulse = impulse.repeat(1, 2, 1)
    others = torch.cat([1.0 - own, 1.0 - own], dim=0)
    swing = NUDGE * torch.cat([1.0 - own, own - 1.0], dim=0)
    side = torch.cat([-way[:, 1:2], way[:, 0:1]], dim=1) / way_len
    nudge = side * swing
    # two behaviours: steering (first) and gliding on with hardly any correction
    steer = GLIDE * (0.12 + 0.36 * (0.6 * purpose + 0.4 * team_purpose))
    drift = GLIDE * (0.04 + 0.08 * purpose)
    reach = torch.cat([steer.expand(-1, -1, n_var, -1), drift.expand(-1, -1, n_var, -1)], dim=2)
    # this step: one agent's action is varied, the others act as presumed
    rest = pos + GLIDE * vel
    diff, gap = pair_gaps(pos, links)
    q = (rest + bumps(diff, gap, links)) + drive(rest, goal, reach) * others + impulse
    moved = pos + SHARE * (rest - pos)
    # three single moves; the touches before the first are the same for all variants
    p, q, same = move(moved, q, goal, reach, links, 1)
    p, q, total = move(p, q, goal, reach, links, 2)
    p, q, lost = move(p, q, goal, reach, links, 3)
    total = total + lost + 2.2 * cover_loss(p, form, early, 3)
    # a new assignment on the way, then two double moves
    goal = aims(assign(distances(q, form), temp_assign, 2), marks)
    diff, gap = pair_gaps(p, links)
    total = total + 2.0 * (DECAY ** 4) * touches(gap, 0.055)
    shift = drive(q, goal, 2.0 * reach) + bumps(diff, gap, links)
    p = p + SHARE_TWO * (q - p) + 0.15 * shift
    q = q + shift
    total = total + 2.0 * cover_loss(p + nudge, form, early, 5)
    p = p + SHARE_TWO * (q - p)
    total = total + 2.0 * cover_loss(p - nudge, form, early, 7)
    total = total + 4.0 * cover_loss(q, form, early, 9)
    total = total + 3.0 * (DECAY ** 8) * touches(pair_gaps(q, links)[1], 0.085)
    # variance over the actions, half normalised per behaviour, then mixed
    total = total.reshape(-1, 2, n, n_act)
    centred = total - total.mean(dim=3, keepdim=True)
    var = (centred * centred).mean(dim=3)
    part = var / torch.sqrt(var.mean(dim=2, keepdim=True) + 1e-6)
    sure = 0.25 + 0.5 * torch.sigmoid((team_purpose.reshape(-1, 1) - 0.6) / 0.07)
    spread = torch.sqrt(sure * part[:, 0] + (1.0 - sure) * part[:, 1] + 1e-6)
    mixed = spread / torch.clamp(spread.mean(dim=1, keepdim=True), min=1e-3)
    weights = 0.4 + mixed / (1.0 + 0.2 * mixed)
    # what is still to be lost, seen from where the agents glide to
    dist_rest = distances(rest, form)
    planned = (plan * dist_rest).sum(dim=3).sum(dim=1)
    nearest = dist_rest.min(dim=3)[0].sum(dim=1)
    touching = touches(pair_gaps(moved, links)[1], 0.03)
    bias = -1.3 * (1.5 * planned + 1.5 * nearest + touching)
    return weights, torch.clamp(bias, min=-30.0, max=0.0)
