import torch
import torch.nn.functional as F
import math

DECAY = 0.93
TOUCH = 0.3        # centres closer than this are in contact
GLIDE = 0.4        # way that a velocity of 1 still glides without pushing
SHARE = 0.25       # part of the remaining glide that is covered in one move
SHARE_TWO = 0.4375  # the same for two moves
SWAY = 0.16        # sideways shift of the others' resting points when gliding

def length(x):
    return torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-4)

def pair_gaps(p, links):
    diff = torch.matmul(p, links.t())
    return diff, torch.sqrt((diff * diff).sum(dim=1) + 1e-4)

def bumps(diff, gap, links):
    ratio = (torch.clamp(TOUCH - gap, min=0.0) / gap).unsqueeze(1)
    return torch.matmul(ratio * diff, 10.0 * GLIDE * links)

def touches(gap, t):
    return (DECAY ** t) * torch.sigmoid((TOUCH - gap) / (0.02 + 0.008 * t)).sum(dim=2)

def distances(p, form):
    # batch, landmark, variant, agent; squared distances as one matrix product
    square = (p * p).sum(dim=1, keepdim=True)
    rows = torch.cat([p, square, torch.ones_like(square)], dim=1).flatten(2)
    dist = torch.sqrt(torch.clamp(torch.matmul(form, rows), min=1e-5))
    return dist.reshape(-1, form.shape[1], p.shape[2], p.shape[3])

def drive(q, goal, reach):
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
    temp = 0.02 + 0.008 * t + 0.035 * early
    soft = torch.logsumexp(distances(p, form) * (-1.0 / temp), dim=3)
    return -3.0 * (DECAY ** t) * temp.reshape(-1, 1) * soft.sum(dim=1)

def move(p, q, goal, reach, links, t):
    diff, gap = pair_gaps(p, links)
    q_next = q + drive(q, goal, reach) + bumps(diff, gap, links)
    return p + SHARE * (q - p), q_next, touches(gap, t)

def relative(variance):
    spread = torch.sqrt(variance + 1e-6)
    return spread / torch.clamp(spread.mean(dim=1, keepdim=True), min=1e-3)

def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss in the next steps and at the resting points after them: as the nearest
    agent to landmarks, or by making or breaking contacts. The spread is taken with the
    team steering to assigned landmarks and with it gliding on while the others sway to
    either side, mixed by how purposeful the movements of the team look."""
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
    # phase: 1 while landmarks are open, towards 0 when they are covered
    open_now = distances(pos, form).min(dim=3)[0].mean(dim=1)
    early = torch.sigmoid((open_now - 0.3) / 0.08).reshape(-1, 1, 1, 1)
    temp_assign = 0.06 + 0.05 * early
    # intention: the last actions show in where the agent glides to
    plan = assign(distances(pos + 0.25 * vel, form), temp_assign, 5)
    goal = aims(plan, marks)
    way = goal - pos
    way_len = length(way)
    # purpose: do agents move towards their landmark, or rest on it?
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
    own = own.repeat(3, 1)
    impulse = impulse.repeat(1, 3, 1)
    # behaviours: steering, gliding on with a sway to the left, and to the right
    steer = GLIDE * (0.12 + 0.36 * (0.6 * purpose + 0.4 * team_purpose))
    drift = GLIDE * (0.04 + 0.08 * purpose)
    reach = torch.cat([steer.expand(-1, -1, n_var, -1), drift.expand(-1, -1, 2 * n_var, -1)], dim=2)
    side = own_pos.new_tensor([0.0, 1.0, -1.0]).repeat_interleave(n_var).reshape(1, 1, -1, 1)
    across = torch.cat([-way[:, 1:2], way[:, 0:1]], dim=1) / way_len
    sway = side * (SWAY * (1.0 - settled) * across)
    # this step: one agent's action is varied, the others act as presumed
    rest = pos + GLIDE * vel
    diff, gap = pair_gaps(pos, links)
    others = (drive(rest, goal, reach) + sway) * (1.0 - own)
    q = rest + bumps(diff, gap, links) + others + impulse
    moved = pos + SHARE * (rest - pos)
    # three single moves; the touches before the first are the same for all variants
    p, q, same = move(moved, q, goal, reach, links, 1)
    p, q, lost = move(p, q, goal, reach, links, 2)
    total = lost + 2.0 * cover_loss(p, form, early, 2)
    p, q, lost = move(p, q, goal, reach, links, 3)
    total = total + lost + cover_loss(p, form, early, 3)
    # a new assignment on the way, then two double moves
    goal = aims(assign(distances(q, form), temp_assign, 2), marks)
    diff, gap = pair_gaps(p, links)
    total = total + 2.0 * touches(gap, 4)
    shift = drive(q, goal, 2.0 * reach) + bumps(diff, gap, links)
    p = p + SHARE_TWO * (q - p) + 0.15 * shift
    q = q + shift
    total = total + 2.0 * cover_loss(p, form, early, 5) + 2.0 * touches(pair_gaps(p, links)[1], 6)
    p = p + SHARE_TWO * (q - p)
    total = total + 2.0 * cover_loss(p, form, early, 7)
    # later: the resting points, after some more steering, stand for further moves
    q = q + drive(q, goal, 2.0 * reach)
    total = total + 3.5 * cover_loss(q, form, early, 9) + 2.0 * touches(pair_gaps(q, links)[1], 9)
    total = total.reshape(-1, 3, n, n_act)
    centred = total - total.mean(dim=3, keepdim=True)
    var = (centred * centred).mean(dim=3)
    sure = 0.25 + 0.5 * torch.sigmoid((team_purpose.reshape(-1, 1) - 0.6) / 0.07)
    mixed = sure * relative(var[:, 0]) + (1.0 - sure) * relative(0.5 * (var[:, 1] + var[:, 2]))
    weights = 0.4 + mixed / (1.0 + 0.2 * mixed)
    # what is still to be lost, seen from where the agents glide to
    dist_rest = distances(rest, form)
    planned = (plan * dist_rest).sum(dim=3).sum(dim=1)
    nearest = dist_rest.min(dim=3)[0].sum(dim=1)
    touching = torch.sigmoid((TOUCH - pair_gaps(moved, links)[1]) / 0.03).sum(dim=2)
    bias = -1.3 * (1.5 * planned + 1.5 * nearest + touching)
    return weights, torch.clamp(bias, min=-30.0, max=0.0)
