import torch
import torch.nn.functional as F
import math

PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
STEPS = 8          # modelled steps after the one in which the action is varied
DECAY = 0.93       # trust in later modelled steps
GAIN = 1.5         # how firmly agents correct their course (2.5 is perfect)
CONTACT = 0.3      # centres closer than this are in contact
SOFT = 0.03        # softness of the contact border
TERMINAL = 1.5     # steps' worth of matched distance left after the model ends
MIX = 0.65         # share of the model in which everybody keeps steering
NEED = 0.12        # share of irreplaceability in the weight
FLOOR = 0.4        # credit that every agent gets
BIAS_SCALE = 2.5
BIAS_MIN = -15.0


def length(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def steer(x, v, target, gain):
    # push the resting point x + 0.4 v towards the target, at most 0.5 in all
    want = gain * (target - x - 0.4 * v)
    size = want.abs().sum(dim=-1, keepdim=True)
    return want * (0.5 / torch.clamp(size, min=0.5))


def bounce(x, off_diag):
    # change of velocity of every agent by the overlaps at the start of a step
    diff = x.unsqueeze(-2) - x.unsqueeze(-3)
    dist = length(diff)
    overlap = torch.clamp(CONTACT - dist, min=0.0) * off_diag
    return (10.0 * (overlap / dist).unsqueeze(-1) * diff).sum(dim=-2)


def step_reward(x, lm, off_diag):
    cover = torch.amin(length(x.unsqueeze(-2) - lm.unsqueeze(-3)), dim=-2).sum(dim=-1)
    dist = length(x.unsqueeze(-2) - x.unsqueeze(-3))
    touch = torch.sigmoid((CONTACT - dist) / SOFT) * off_diag
    return -1.5 * cover - 0.5 * touch.sum(dim=-1).sum(dim=-1)


def match(point, lm):
    # best one-to-one assignment: its total distance and each agent's landmark
    dist = length(point.unsqueeze(2) - lm.unsqueeze(1))
    costs = []
    goals = []
    for p in PERMS:
        costs.append(dist[:, 0, p[0]] + dist[:, 1, p[1]] + dist[:, 2, p[2]])
        goals.append(torch.stack([lm[:, p[0]], lm[:, p[1]], lm[:, p[2]]], dim=1))
    cost = torch.stack(costs, dim=1)
    goal = torch.stack(goals, dim=1)
    best = torch.amin(cost, dim=1, keepdim=True)
    pick = torch.where(cost <= best, torch.ones_like(cost), torch.zeros_like(cost))
    pick = pick / torch.clamp(pick.sum(dim=1, keepdim=True), min=1.0)
    target = (pick.unsqueeze(-1).unsqueeze(-1) * goal).sum(dim=1)
    return best, target


def credit(state):
    """An agent earns credit by how far its five possible pushes spread the team's
    modelled return: by covering or approaching a landmark that it alone can serve in
    the best matching, or by deciding, together with a neighbour, whether they touch.
    Agents that are superfluous or already settled, and that no other can make
    better or worse through them, get little above the floor."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    lm = pos[:, 0:1] + state["landmark_offset"][:, 0]

    zero = pos.new_zeros(1)
    one = zero + 1.0
    half = zero + 0.5
    eye = torch.stack([torch.cat([one, zero, zero]),
                       torch.cat([zero, one, zero]),
                       torch.cat([zero, zero, one])], dim=0)
    off_diag = 1.0 - eye
    push = torch.stack([torch.cat([zero, -half, half, zero, zero]),
                        torch.cat([zero, zero, zero, -half, half])], dim=-1)

    # axes: batch, varied agent, its action, mode (steering or gliding), agent, x/y
    focal = eye[None, :, None, None, :, None]
    push = push[None, None, :, None, None, :]
    gain = torch.cat([zero + GAIN, zero])[None, None, None, :, None, None]

    rest = pos + 0.4 * vel
    left, target = match(rest, lm)
    goal = target[:, None, None, None]
    marks = lm[:, None, None, None]
    x = pos[:, None, None, None]
    v = vel[:, None, None, None]

    # the step in question: one agent's action is varied, the others keep theirs
    u = steer(x, v, goal, gain) * (1.0 - focal) + focal * push
    hit = bounce(x, off_diag)
    x = x + 0.1 * v
    v = 0.75 * v + u + hit

    # the steps that follow
    total = 0.0
    trust = 1.0
    for k in range(STEPS):
        u = steer(x, v, goal, gain)
        hit = bounce(x, off_diag)
        x = x + 0.1 * v
        v = 0.75 * v + u + hit
        total = total + trust * step_reward(x, marks, off_diag)
        trust = trust * DECAY
    total = total - 1.5 * TERMINAL * trust * length(x - goal).sum(dim=-1)

    # spread of the team's return over the varied agent's actions
    centred = total - total.mean(dim=2, keepdim=True)
    var = (centred * centred).mean(dim=2)
    var = MIX * var[:, :, 0] + (1.0 - MIX) * var[:, :, 1]
    spread = torch.sqrt(var + 1e-6)
    spread = spread / (spread.mean(dim=1, keepdim=True) + 0.02)

    # irreplaceability: what the cover would lose without the agent
    near = length(rest.unsqueeze(2) - lm.unsqueeze(1))
    without = torch.amin(near.unsqueeze(1) + 100.0 * eye[None, :, :, None], dim=2)
    present = torch.amin(near, dim=1).unsqueeze(1)
    need = torch.clamp(without - present, min=0.0).sum(dim=-1)
    need = need / (need.mean(dim=1, keepdim=True) + 0.1)

    weights = FLOOR + (1.0 - NEED) * spread + NEED * need
    bias = torch.clamp(-BIAS_SCALE * left, min=BIAS_MIN)
    return weights, bias
