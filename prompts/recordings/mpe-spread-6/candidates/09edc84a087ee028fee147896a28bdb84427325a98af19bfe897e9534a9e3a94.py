import torch
import torch.nn.functional as F
import math

REPLAN = 4         # landmarks are assigned anew before this step
STEPS = 9          # end of the horizon; the first move cannot be influenced
DECAY = 0.93
TOUCH = 0.3        # centres closer than this are in contact
DAMP = 0.75
DT = 0.1
GLIDE = 0.4        # way that a velocity of 1 still glides without pushing


def length(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-4)


def contact_push(pos, off_diag):
    # change of velocity by contact: 10 times the overlap, away from the other
    diff = pos.unsqueeze(-2) - pos.unsqueeze(-3)
    dist = length(diff)
    overlap = torch.clamp(TOUCH - dist, min=0.0) * off_diag
    return (10.0 * (overlap / dist).unsqueeze(-1) * diff).sum(dim=-2)


def contacts(pos, off_diag, width):
    # softened number of pairs in contact
    gap = length(pos.unsqueeze(-2) - pos.unsqueeze(-3))
    touch = torch.sigmoid((TOUCH - gap) / width) * off_diag
    return 0.5 * touch.sum(dim=-1).sum(dim=-1)


def distances(pos, marks):
    # agents in rows, landmarks in columns
    return length(marks.unsqueeze(-3) - pos.unsqueeze(-2))


def drive(pos, vel, goal, power):
    # steering: the push after which the glide ends on the goal, limited in size
    want = (goal - pos) / GLIDE - vel
    size = length(want).unsqueeze(-1)
    return want * torch.clamp(power / size, max=1.0)


def team_loss(pos, marks, off_diag, temp, width):
    # softened: sum of distances to the nearest agents times 3, plus contacts
    dist = distances(pos, marks)
    near = -temp * torch.logsumexp(-dist / temp.unsqueeze(-1), dim=-2)
    return 3.0 * near.sum(dim=-1) + contacts(pos, off_diag, width)


def assign(dist, temp):
    # balanced soft assignment of agents (rows) to landmarks (columns)
    x = -dist / temp
    for k in range(5):
        x = x - torch.logsumexp(x, dim=-1, keepdim=True)
        x = x - torch.logsumexp(x, dim=-2, keepdim=True)
    return torch.softmax(3.0 * x, dim=-1)


def stretch(p, v, goal, power, keep, marks, off_diag, early, first, last):
    # a part of the rollout; everybody steers to the goal or keeps its course
    total = torch.zeros_like(p[..., 0, 0])
    for t in range(first, last):
        push = drive(p, v, goal, power) + keep * v
        v_next = DAMP * v + push + contact_push(p, off_diag)
        p = p + DT * v
        v = v_next
        blur = 0.02 + 0.008 * t
        loss = team_loss(p, marks, off_diag, blur + 0.02 * early, blur)
        total = total + (DECAY ** t) * loss
    return p, v, total


def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss in the next steps: as the nearest agent to one or several landmarks that
    lie on the same side, or by making or breaking contacts. The spread is taken under two
    presumed behaviours, steering to assigned landmarks and gliding on, which are mixed
    by how purposeful the movements of the team look."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    n = pos.shape[1]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(dim=1)
    eye = torch.diag(pos.new_ones(n))
    off_diag = 1.0 - eye

    # phase: 1 while landmarks are open, towards 0 when they are covered
    open_now = distances(pos, marks).min(dim=1)[0].mean(dim=1)
    early = torch.sigmoid((open_now - 0.3) / 0.08).reshape(-1, 1, 1)
    temp_assign = 0.06 + 0.05 * early

    # intention: the last actions show in where the agent glides to
    plan = assign(distances(pos + 0.25 * vel, marks), temp_assign)
    target = torch.matmul(plan, marks)
    way = target - pos
    way_len = length(way)

    # purpose: do agents move towards their landmark, or rest on it?
    speed = length(vel)
    along = (vel * way).sum(dim=-1) / (way_len * (speed + 0.3))
    settled = torch.exp(-torch.clamp(way_len / 0.2, max=6.0) ** 2) / (1.0 + speed)
    purpose = (0.5 + 0.5 * along) * (1.0 - settled) + settled
    team_purpose = purpose.mean(dim=1, keepdim=True)

    # two behaviours: steering (first) and gliding on with hardly any correction
    steer = 0.12 + 0.36 * (0.6 * purpose + 0.4 * team_purpose)
    drift = 0.04 + 0.08 * purpose
    power = torch.stack([steer, drift], dim=1).unsqueeze(2).unsqueeze(-1)
    keep = pos.new_tensor([0.0, 0.1]).reshape(1, 2, 1, 1, 1)

    # all variants: agent (major) times action (minor)
    acts = pos.new_tensor([[0.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    n_act = acts.shape[0]
    own = eye.repeat_interleave(n_act, dim=0).unsqueeze(-1)
    impulse = own * acts.repeat(n, 1).unsqueeze(1)

    # dimensions from here on: batch, behaviour, variant, agent, coordinate
    p = pos.unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1)
    goal = target.unsqueeze(1).unsqueeze(1)
    lm = marks.unsqueeze(1).unsqueeze(1)
    phase = early.unsqueeze(-1)

    # this step: one agent's action is varied, the others act as presumed
    push = (drive(p, v, goal, power) + keep * v) * (1.0 - own) + impulse
    v_next = DAMP * v + push + contact_push(p, off_diag)
    p = p + DT * v
    v = v_next

    # the following steps, with one new assignment on the way
    p, v, loss_a = stretch(p, v, goal, power, keep, lm, off_diag, phase, 1, REPLAN)
    again = assign(distances(p + 0.25 * v, lm), temp_assign.unsqueeze(-1).unsqueeze(-1))
    goal = torch.matmul(again, lm)
    p, v, loss_b = stretch(p, v, goal, power, keep, lm, off_diag, phase, REPLAN, STEPS)

    total = (loss_a + loss_b).reshape(-1, 2, n, n_act)
    centred = total - total.mean(dim=3, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=3) + 1e-6)
    rel = spread / torch.clamp(spread.mean(dim=2, keepdim=True), min=1e-3)

    # the more purposeful the team, the more the steering counts
    sure = 0.25 + 0.5 * torch.sigmoid((team_purpose - 0.6) / 0.07)
    mixed = sure * rel[:, 0] + (1.0 - sure) * rel[:, 1]
    weights = 0.4 + mixed / (1.0 + 0.2 * mixed)

    # what is still to be lost, seen from where the agents glide to
    dist_glide = distances(pos + GLIDE * vel, marks)
    planned = (plan * dist_glide).sum(dim=2).sum(dim=1)
    nearest = dist_glide.min(dim=1)[0].sum(dim=1)
    touching = contacts(pos + DT * vel, off_diag, 0.03)
    bias = -1.3 * (1.5 * planned + 1.5 * nearest + touching)
    bias = torch.clamp(bias, min=-30.0, max=0.0).unsqueeze(-1)
    return weights, bias
