import torch
import torch.nn.functional as F
import math

DECAY = 0.93
TOUCH = 0.3        # centres closer than this are in contact
GLIDE = 0.4        # way that a velocity of 1 still glides without pushing
SHARE = 0.25       # part of the remaining glide that is covered in one move


def length(x):
    # x: batch, coordinate, variant, agent
    return torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-4)


def pair_gaps(p, links):
    # every unordered pair of agents once: difference and distance of the centres
    diff = torch.matmul(p, links.t())
    gap = torch.sqrt((diff * diff).sum(dim=1) + 1e-4)
    return diff, gap


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


def cover_loss(p, form, temp):
    # softened sum of the distances to the nearest agents, times 3
    soft = torch.logsumexp(distances(p, form) * (-1.0 / temp), dim=3)
    return -3.0 * temp.reshape(-1, 1) * soft.sum(dim=1)


def stretch(p, q, goal, reach, links, form, early, t, parts):
    # a part of the rollout; q is where an agent comes to rest without pushing,
    # gliding leaves it as it is, pushes and contacts shift it
    total = 0.0
    for moves in parts:
        for m in range(moves):
            t = t + 1
            diff, gap = pair_gaps(p, links)
            overlap = TOUCH - gap
            touch = torch.sigmoid(overlap / (0.02 + 0.008 * t)).sum(dim=2)
            total = total + (DECAY ** t) * touch
            ratio = (torch.clamp(overlap, min=0.0) / gap).unsqueeze(1)
            bump = torch.matmul(ratio * diff, 10.0 * GLIDE * links)
            q_next = q + drive(q, goal, reach) + bump
            p = p + SHARE * (q - p)
            q = q_next
        temp = 0.02 + 0.008 * t + 0.02 * early
        total = total + moves * (DECAY ** t) * cover_loss(p, form, temp)
    return p, q, total


def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss in the next steps: as the nearest agent to one or several landmarks that
    lie on the same side, or by making or breaking contacts. The spread is taken under two
    presumed behaviours, steering to assigned landmarks and gliding on, which are mixed
    by how purposeful the movements of the team look."""
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
    own = own.repeat(2, 1)
    impulse = impulse.repeat(1, 2, 1)

    # two behaviours: steering (first) and gliding on with hardly any correction
    steer = GLIDE * (0.12 + 0.36 * (0.6 * purpose + 0.4 * team_purpose))
    drift = GLIDE * (0.04 + 0.08 * purpose)
    reach = torch.cat([steer.expand(-1, -1, n_var, -1), drift.expand(-1, -1, n_var, -1)], dim=2)

    # this step: one agent's action is varied, the others act as presumed
    rest = pos + GLIDE * vel
    diff, gap = pair_gaps(pos, links)
    ratio = (torch.clamp(TOUCH - gap, min=0.0) / gap).unsqueeze(1)
    bump = torch.matmul(ratio * diff, 10.0 * GLIDE * links)
    q = rest + bump + drive(rest, goal, reach) * (1.0 - own) + impulse
    moved = pos + SHARE * (rest - pos)

    # the following steps, with one new assignment on the way
    p, q, loss_a = stretch(moved, q, goal, reach, links, form, early, 0, (2, 1))
    goal = aims(assign(distances(q, form), temp_assign, 2), marks)
    p, q, loss_b = stretch(p, q, goal, reach, links, form, early, 3, (2, 2))

    total = (loss_a + loss_b).reshape(-1, 2, n, n_act)
    centred = total - total.mean(dim=3, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=3) + 1e-6)
    rel = spread / torch.clamp(spread.mean(dim=2, keepdim=True), min=1e-3)

    # the more purposeful the team, the more the steering counts
    sure = 0.25 + 0.5 * torch.sigmoid((team_purpose.reshape(-1, 1) - 0.6) / 0.07)
    mixed = sure * rel[:, 0] + (1.0 - sure) * rel[:, 1]
    weights = 0.4 + mixed / (1.0 + 0.2 * mixed)

    # what is still to be lost, seen from where the agents glide to
    dist_rest = distances(rest, form)
    planned = (plan * dist_rest).sum(dim=3).sum(dim=1)
    nearest = dist_rest.min(dim=3)[0].sum(dim=1)
    gap_next = pair_gaps(moved, links)[1]
    touching = torch.sigmoid((TOUCH - gap_next) / 0.03).sum(dim=2)
    bias = -1.3 * (1.5 * planned + 1.5 * nearest + touching)
    return weights, torch.clamp(bias, min=-30.0, max=0.0)
