import torch
import torch.nn.functional as F
import math

DECAY = 0.93
TOUCH = 0.3   # centres closer than this are in contact
GLIDE = 0.4   # way that a velocity of 1 still glides without pushing
SHARE = 0.25  # part of the remaining glide that is covered in one move
MOVES = 6     # single moves that are simulated
FAR = 0.58    # part of the remaining glide covered in three more moves

def length(x):
    # x: batch, coordinate, variant, agent
    return torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-4)

def pair_gaps(p, links):
    # every unordered pair of agents once: difference and distance of the centres
    diff = torch.matmul(p, links.t())
    gap = torch.sqrt((diff * diff).sum(dim=1) + 1e-4)
    return diff, gap

def bumps(diff, gap, links):
    # contacts: shift of the end of the glide, away from the other agent
    ratio = (torch.clamp(TOUCH - gap, min=0.0) / gap).unsqueeze(1)
    return torch.matmul(ratio * diff, 10.0 * GLIDE * links)

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

def step_loss(p, gap, form, temp, width):
    # softened loss of one step; temp and width: batch, variant, 1
    soft = torch.logsumexp(distances(p, form) * (-1.0 / temp).unsqueeze(1), dim=3)
    cover = -3.0 * temp.squeeze(2) * soft.sum(dim=1)
    return cover + torch.sigmoid((TOUCH - gap) / width).sum(dim=2)

def relative(variance):
    spread = torch.sqrt(variance + 1e-6)
    return spread / torch.clamp(spread.mean(dim=1, keepdim=True), min=1e-3)

def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss from here on: as the present or coming nearest agent to landmarks whose
    pulls do not cancel, or by making or breaking contacts. The spread is taken for three
    presumed behaviours of the team (steering to assigned landmarks, gliding, pushing on)
    with a growing uncertainty, and mixed by how purposeful the movements look."""
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
    # intention and purpose: who goes where, and do they move there or rest there?
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
    own = own.repeat(3, 1)
    impulse = impulse.repeat(1, 3, 1)
    # behaviours: steering, gliding, pushing on in the present direction
    steer = GLIDE * (0.12 + 0.36 * (0.6 * purpose + 0.4 * team_purpose))
    drift = GLIDE * (0.02 + 0.07 * purpose)
    reach = torch.cat([steer.expand(-1, -1, n_var, -1), drift.expand(-1, -1, 2 * n_var, -1)], dim=2)
    push_on = (0.06 * vel).expand(-1, -1, n_var, -1)
    keep = torch.cat([torch.zeros_like(push_on), torch.zeros_like(push_on), push_on], dim=2)
    # uncertainty grows faster, and a shift lasts longer, where nobody corrects it
    growth = own_pos.new_tensor([0.008, 0.018, 0.018]).repeat_interleave(n_var).reshape(1, -1, 1)
    last = own_pos.new_tensor([2.0, 6.0, 5.0]).repeat_interleave(n_var).reshape(1, -1)
    base = 0.02 + 0.02 * early.reshape(-1, 1, 1)
    # this step: one agent's action is varied, the others act as presumed
    rest = pos + GLIDE * vel
    diff, gap = pair_gaps(pos, links)
    shift = (drive(rest, goal, reach) + keep) * (1.0 - own) + impulse
    q = rest + bumps(diff, gap, links) + shift
    moved = pos + SHARE * (rest - pos)
    p = moved
    total = torch.zeros_like(q[:, 0, :, 0])
    for t in range(1, MOVES + 1):
        diff, gap = pair_gaps(p, links)
        loss = step_loss(p, gap, form, base + growth * t, 0.02 + growth * t)
        total = total + (DECAY ** t) * loss
        shift = drive(q, goal, reach) + keep + bumps(diff, gap, links)
        p = p + SHARE * (q - p)
        q = q + shift
        if t == 3:
            goal = aims(assign(distances(q, form), temp_assign, 2), marks)
    # the rest of the episode, seen from close to where the agents come to rest
    p = p + FAR * (q - p)
    gap = pair_gaps(p, links)[1]
    loss = step_loss(p, gap, form, base + growth * 9, 0.02 + growth * 9)
    total = total + (DECAY ** 9) * last * loss
    total = total.reshape(-1, 3, n, n_act)
    centred = total - total.mean(dim=3, keepdim=True)
    variance = (centred * centred).mean(dim=3)
    rel_steer = relative(variance[:, 0])
    rel_drift = relative(0.6 * variance[:, 1] + 0.4 * variance[:, 2])
    sure = 0.2 + 0.55 * torch.sigmoid((team_purpose.reshape(-1, 1) - 0.6) / 0.07)
    mixed = sure * rel_steer + (1.0 - sure) * rel_drift
    weights = 0.4 + mixed / (1.0 + 0.2 * mixed)
    # what is still to be lost, seen from where the agents glide to
    dist_rest = distances(rest, form)
    planned = (plan * dist_rest).sum(dim=3).sum(dim=1)
    nearest = dist_rest.min(dim=3)[0].sum(dim=1)
    touching = torch.sigmoid((TOUCH - pair_gaps(moved, links)[1]) / 0.03).sum(dim=2)
    bias = -1.3 * (1.5 * planned + 1.5 * nearest + touching)
    return weights, torch.clamp(bias, min=-30.0, max=0.0)
