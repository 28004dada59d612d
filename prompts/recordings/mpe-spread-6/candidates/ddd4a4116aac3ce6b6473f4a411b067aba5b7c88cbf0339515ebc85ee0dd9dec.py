import torch
import torch.nn.functional as F
import math

STEPS = 9          # simulated moves; the first one cannot be influenced any more
REPLAN = 4         # from this move on, agents follow a renewed plan
DECAY = 0.9        # later losses are less certain
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
    ratio = overlap / torch.clamp(dist, min=0.05)
    return (10.0 * ratio.unsqueeze(-1) * diff).sum(dim=-2)


def drive(pos, vel, target, thrust):
    # presumed behaviour: 0.1 v + 0.4 (0.75 v + push) shall end on the target
    want = (target - pos) / GLIDE - vel
    size = length(want).unsqueeze(-1)
    return want * torch.clamp(thrust / size, max=1.0)


def team_loss(pos, marks, off_diag, temp, width):
    # softened: sum of distances to the nearest agents times 3, plus contacts
    dist = length(marks.unsqueeze(-3) - pos.unsqueeze(-2))
    t = temp.unsqueeze(-1)
    near = -temp * torch.logsumexp(-dist / t, dim=-2)
    gap = length(pos.unsqueeze(-2) - pos.unsqueeze(-3))
    touch = torch.sigmoid((TOUCH - gap) / width) * off_diag
    return 3.0 * near.sum(dim=-1) + 0.5 * touch.sum(dim=-1).sum(dim=-1)


def presumed_landmarks(where, marks, temp):
    # balanced soft assignment of agents (rows) to landmarks (columns)
    dist = length(marks.unsqueeze(-3) - where.unsqueeze(-2))
    x = -dist / temp
    for k in range(6):
        x = x - torch.logsumexp(x, dim=-1, keepdim=True)
        x = x - torch.logsumexp(x, dim=-2, keepdim=True)
    return torch.softmax(3.0 * x, dim=-1)


def aims(plan, marks):
    return (plan.unsqueeze(-1) * marks.unsqueeze(-3)).sum(dim=-2)


def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads
    the team's loss in the next steps: by being the decisive cover of landmarks or by
    making or breaking contacts. Velocities show how purposeful the team moves, which
    sets whether a deviation is corrected, taken over by others, or persists."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    n = pos.shape[1]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(dim=1)
    marks_v = marks.unsqueeze(1)

    eye = torch.diag(pos.new_ones(n))
    off_diag = 1.0 - eye

    # phase: 1 while landmarks are open, towards 0 when they are covered
    dist_now = length(marks.unsqueeze(1) - pos.unsqueeze(2))
    open_now = dist_now.min(dim=1)[0].mean(dim=1)
    early = torch.sigmoid((open_now - 0.3) / 0.08).unsqueeze(-1).unsqueeze(-1)

    # intention: the last actions show in where the agent would glide to
    temp_plan = 0.06 + 0.06 * early
    plan = presumed_landmarks(pos + 0.25 * vel, marks, temp_plan)
    target = aims(plan, marks)
    way = target - pos
    way_len = length(way)

    # purpose: do agents move towards their landmark, or rest on it?
    speed = length(vel)
    along = (vel * way).sum(dim=-1) / (way_len * (speed + 0.3))
    settled = torch.exp(-torch.clamp(way_len / 0.2, max=6.0) ** 2)
    settled = settled / (1.0 + speed)
    purpose = (0.5 + 0.5 * along) * (1.0 - settled) + settled
    team_purpose = purpose.mean(dim=1, keepdim=True)
    # a team that still stands has not shown anything yet: middle value
    mean_speed = speed.mean(dim=1, keepdim=True)
    still = torch.exp(-torch.clamp(mean_speed / 0.15, max=6.0) ** 2)
    mix = 0.4 * purpose + 0.6 * team_purpose + 0.08 * still
    thrust = (0.03 + 0.47 * torch.sigmoid((mix - 0.6) / 0.07)).unsqueeze(-1)

    # all variants: agent (major) times action (minor)
    acts = pos.new_tensor([[0.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    n_act = acts.shape[0]
    own = eye.repeat_interleave(n_act, dim=0).unsqueeze(-1)
    impulse = own * acts.repeat(n, 1).unsqueeze(1)

    p = pos.unsqueeze(1)
    v = vel.unsqueeze(1)
    goal = target.unsqueeze(1)
    power = thrust.unsqueeze(1)

    # this step: one agent's action is varied, the others act as presumed
    push = drive(p, v, goal, power) * (1.0 - own) + impulse
    v_next = DAMP * v + push + contact_push(p, off_diag)
    p = p + DT * v
    v = v_next

    # the following steps: everybody goes on as presumed, with one new plan
    total = 0.0
    for t in range(1, STEPS):
        if t == REPLAN:
            goal = aims(presumed_landmarks(p + 0.25 * v, marks_v, temp_plan.unsqueeze(1)), marks_v)
        v_next = DAMP * v + drive(p, v, goal, power) + contact_push(p, off_diag)
        p = p + DT * v
        v = v_next
        temp = 0.02 + 0.008 * t + 0.02 * early
        loss = team_loss(p, marks_v, off_diag, temp, 0.02 + 0.008 * t)
        total = total + DECAY ** (t - 1) * loss

    total = total.reshape(-1, n, n_act)
    centred = total - total.mean(dim=2, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=2) + 1e-6)

    # nearly proportional to the spread, with a floor and a soft ceiling
    rel = spread / torch.clamp(spread.mean(dim=1, keepdim=True), min=1e-3)
    weights = 0.38 + 3.0 * torch.tanh(rel / 3.0)

    # what is still to be lost: 1.5 steps' worth at the positions after gliding
    rest = pos + GLIDE * vel
    dist_rest = length(marks.unsqueeze(1) - rest.unsqueeze(2))
    planned = (plan * dist_rest).sum(dim=2).sum(dim=1)
    nearest = dist_rest.min(dim=1)[0].sum(dim=1)
    gap = length(rest.unsqueeze(2) - rest.unsqueeze(1))
    pairs = 0.5 * (torch.sigmoid((TOUCH - gap) / 0.03) * off_diag).sum(dim=2).sum(dim=1)
    bias = -1.5 * (3.0 * (0.5 * planned + 0.5 * nearest) + pairs)
    bias = torch.clamp(bias, min=-40.0, max=0.0).unsqueeze(-1)
    return weights, bias
