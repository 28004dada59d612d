import torch
import torch.nn.functional as F
import math

STEPS = 9          # simulated moves; the first one cannot be influenced any more
DECAY = 0.93       # later moves are predicted less well
TOUCH = 0.3        # centres closer than this are in contact
DAMP = 0.75
DT = 0.1
GLIDE = 0.4        # way that a velocity of 1 still glides without pushing
MAX_THRUST = 0.4   # push per step of a purposeful agent (0.5 is the limit)


def length(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-4)


def contact_push(pos, off_diag):
    # change of velocity by contact: 10 times the overlap, away from the other
    diff = pos.unsqueeze(-2) - pos.unsqueeze(-3)
    dist = length(diff)
    overlap = torch.clamp(TOUCH - dist, min=0.0) * off_diag
    return (10.0 * (overlap / dist).unsqueeze(-1) * diff).sum(dim=-2)


def drive(pos, vel, target, thrust):
    # push so that the glide ends on the target; a push goes along one axis,
    # so the sum of both components is limited
    want = (target - pos) / GLIDE - vel
    size = want.abs().sum(dim=-1, keepdim=True) + 1e-3
    return want * torch.clamp(thrust / size, max=1.0)


def contacts(pos, off_diag, width):
    # softened number of pairs in contact
    gap = length(pos.unsqueeze(-2) - pos.unsqueeze(-3))
    touch = torch.sigmoid((TOUCH - gap) / width) * off_diag
    return 0.5 * touch.sum(dim=-1).sum(dim=-1)


def team_loss(pos, marks, off_diag, temp, width):
    # softened: sum of distances to the nearest agents times 3, plus contacts
    dist = length(marks.unsqueeze(-3) - pos.unsqueeze(-2))
    near = -temp * torch.logsumexp(-dist / temp.unsqueeze(-1), dim=-2)
    return 3.0 * near.sum(dim=-1) + contacts(pos, off_diag, width)


def presumed_landmarks(dist):
    # balanced soft assignment of agents (rows) to landmarks (columns)
    x = -dist / 0.08
    for k in range(6):
        x = x - torch.logsumexp(x, dim=2, keepdim=True)
        x = x - torch.logsumexp(x, dim=1, keepdim=True)
    return torch.softmax(3.0 * x, dim=2)


def credit(state):
    """An agent earns credit by how much the choice among its five actions spreads the
    team's loss in the next steps: by being the decisive cover of landmarks or by making
    or breaking contacts. In a team that moves with purpose deviations are steered back;
    in an aimless one the agents glide on, so that a push lasts."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    n = pos.shape[1]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(dim=1)

    eye = torch.diag(pos.new_ones(n))
    off_diag = 1.0 - eye

    # intention: who is presumed to cover what, judged by where each would glide to
    ahead = pos + GLIDE * vel
    dist_ahead = length(marks.unsqueeze(1) - ahead.unsqueeze(2))
    plan = presumed_landmarks(dist_ahead)
    target = (plan.unsqueeze(-1) * marks.unsqueeze(1)).sum(dim=2)

    # purpose of the team: heads for its landmarks, rests on them, or has just started
    way = target - pos
    way_len = length(way)
    speed = length(vel)
    heading = ((vel * way).sum(dim=-1) / way_len).sum(dim=1) / (speed.sum(dim=1) + 0.3)
    near = torch.exp(-torch.clamp(way_len / 0.25, max=6.0) ** 2)
    settled = (near / (1.0 + speed)).mean(dim=1)
    still = torch.exp(-torch.clamp(speed.mean(dim=1) / 0.3, max=6.0) ** 2)
    evidence = heading + 1.5 * settled + 0.6 * still
    purpose = torch.sigmoid((evidence - 0.55) / 0.2).unsqueeze(-1).unsqueeze(-1)
    thrust = MAX_THRUST * purpose.unsqueeze(-1)

    # all variants: agent (major) times action (minor)
    acts = pos.new_tensor([[0.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    n_act = acts.shape[0]
    own = eye.repeat_interleave(n_act, dim=0).unsqueeze(-1)
    impulse = own * acts.repeat(n, 1).unsqueeze(1)

    p = pos.unsqueeze(1)
    v = vel.unsqueeze(1)
    goal = target.unsqueeze(1)
    places = marks.unsqueeze(1)

    # this step: one agent's action is varied, the others act as presumed
    push = drive(p, v, goal, thrust) * (1.0 - own) + impulse
    v_next = DAMP * v + push + contact_push(p, off_diag)
    p = p + DT * v
    v = v_next

    # the following steps: everybody goes on as presumed; the longer and the more
    # aimless, the less certain is who will be the nearest
    total = 0.0
    for t in range(1, STEPS):
        v_next = DAMP * v + drive(p, v, goal, thrust) + contact_push(p, off_diag)
        p = p + DT * v
        v = v_next
        temp = 0.02 + t * (0.012 - 0.006 * purpose)
        loss = team_loss(p, places, off_diag, temp, 0.02 + 0.006 * t)
        total = total + DECAY ** t * loss

    total = total.reshape(-1, n, n_act)
    centred = total - total.mean(dim=2, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=2) + 1e-6)
    rel = spread / torch.clamp(spread.mean(dim=1, keepdim=True), min=1e-3)
    weights = 0.35 + 3.0 * rel / (rel + 2.0)

    # what is about to be lost where the agents would glide to: between the loss of
    # the nearest agents and that of one agent on each landmark, plus contacts
    planned = (plan * dist_ahead).sum(dim=2).sum(dim=1)
    nearest = dist_ahead.min(dim=1)[0].sum(dim=1)
    bias = -1.5 * (planned + nearest) - contacts(ahead, off_diag, 0.04)
    bias = torch.clamp(bias, min=-30.0, max=0.0).unsqueeze(-1)
    return weights, bias
