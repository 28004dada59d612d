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


def contact(pos, width):
    # change of velocity by contact (10 times the overlap, away from the other) and
    # softened contact of each pair. The diagonal needs no mask in the push (its
    # offset is 0); in the touch it is a constant, the same for all variants.
    diff = pos.unsqueeze(-2) - pos.unsqueeze(-3)
    dist = length(diff)
    overlap = TOUCH - dist
    strength = torch.clamp(overlap, min=0.0) / dist
    force = 10.0 * (strength.unsqueeze(-1) * diff).sum(dim=-2)
    touch = torch.sigmoid(overlap / width)
    return force, touch


def drive(pos, vel, target, thrust):
    # push so that the glide ends on the target; a push goes along one axis,
    # so the sum of both components is limited
    want = (target - pos) / GLIDE - vel
    size = want.abs().sum(dim=-1, keepdim=True) + 1e-3
    return want * torch.clamp(thrust / size, max=1.0)


def cover_loss(pos, marks, temp):
    # softened sum of the distances to the nearest agents, times 3
    dist = length(marks.unsqueeze(-3) - pos.unsqueeze(-2))
    near = -temp * torch.logsumexp(dist / (-temp).unsqueeze(-1), dim=-2)
    return 3.0 * near.sum(dim=-1)


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

    # this step: one agent's action is varied, the others act as presumed; the
    # positions after this move are still the same in all variants
    force, touch = contact(p, 0.02)
    push = drive(p, v, goal, thrust) * (1.0 - own) + impulse
    v_next = DAMP * v + force + push
    p = p + DT * v
    v = v_next
    force, touch = contact(p, 0.02)

    # the following steps: everybody goes on as presumed; the longer and the more
    # aimless, the less certain is who will be the nearest. The pair distances of
    # a move serve both its contact count and the push of the next step.
    total = 0.0
    for t in range(1, STEPS):
        v_next = DAMP * v + drive(p, v, goal, thrust) + force
        p = p + DT * v
        v = v_next
        force, touch = contact(p, 0.02 + 0.006 * t)
        temp = 0.02 + t * (0.012 - 0.006 * purpose)
        loss = cover_loss(p, places, temp) + 0.5 * touch.sum(dim=(-2, -1))
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
    push_ahead, touch_ahead = contact(ahead, 0.04)
    pairs = 0.5 * (touch_ahead * (1.0 - eye)).sum(dim=(-2, -1))
    bias = -1.5 * (planned + nearest) - pairs
    bias = torch.clamp(bias, min=-30.0, max=0.0).unsqueeze(-1)
    return weights, bias
