import torch
import torch.nn.functional as F
import math

MOVES = (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 1.0)
SIDES = (-1.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 1.0)
RATE = 0.1          # loss of value per step of delay, as seen by the weights
BIAS_RATE = 0.08    # the same for the bias
BIAS_SCALE = 0.7
SLACK = 0.25        # how much the earlier agent's distance still counts
FAR = 60.0          # cost of something impossible
LOAD_VALUE = 1.5    # a meal now, including the risk of missing the meeting


def table(x, numbers):
    z = x.new_zeros(1)
    return torch.cat([z + v for v in numbers]).reshape(-1, 2)


def meeting_cost(own, mate, same):
    # own, mate: [..., 4] steps to the four cells beside a food -> [...]
    a = own.unsqueeze(-1)
    b = mate.unsqueeze(-2)
    cost = torch.maximum(a, b) + SLACK * torch.minimum(a, b) + FAR * same
    return cost.flatten(-2).amin(-1)


def credit(state):
    """Credit goes to the agent whose action in this step moves the time of the next
    joint meal most: the later agent while they gather, both once they stand at the
    same food, and there most the one whose partner has already been loading.
    Last actions show which food is the meeting place; while two foods are left the
    credit is flatter than for the last one."""
    pos = state["agent_position"]
    last = state["last_action"]
    kind = pos.dtype
    alive = state["food_level"] > 0.5                                  # [B, F]
    alive_f = alive.to(kind)
    raw = state["food_position"]
    food = torch.where(alive.unsqueeze(-1), raw, torch.zeros_like(raw) + 3.0)
    any_left = alive_f.amax(-1)                                        # [B]
    both_left = alive_f.amin(-1)                                       # [B]

    # where each agent would stand after each of the five moves
    steps = table(pos, MOVES)                                          # [5, 2]
    here = pos.unsqueeze(2)                                            # [B, 2, 1, 2]
    trial = torch.clamp(here + steps, min=0.0, max=7.0)                # [B, 2, 5, 2]
    to_food = (trial.unsqueeze(3) - food[:, None, None]).abs().sum(-1)
    on_food = ((to_food < 0.5) & alive[:, None, None, :]).any(dim=-1)
    on_mate = (trial - here.flip(1)).abs().sum(-1) < 0.5
    blocked = (on_food | on_mate).unsqueeze(-1)
    trial = torch.where(blocked, here.expand_as(trial), trial)

    # steps from there to the four cells beside each food, with detours
    sides = table(pos, SIDES)                                          # [4, 2]
    same = ((sides[:, None] - sides[None]).abs().sum(-1) < 0.5).to(kind)
    rel = (trial.unsqueeze(3) - food[:, None, None]).unsqueeze(-2)     # [B,2,5,F,1,2]
    way = (rel - sides).abs().sum(-1)                                  # [B,2,5,F,4]
    dot = (rel * sides).sum(-1)
    behind = (dot < -0.5) & ((rel.abs().sum(-1) + dot).abs() < 0.5)
    way = way + 2.0 * behind.to(kind)
    now = way[:, :, 0]                                                 # [B,2,F,4]

    # what positions and last actions reveal about the meeting place
    gap = (pos.unsqueeze(2) - food.unsqueeze(1)).abs()                 # [B,2,F,2]
    dist = gap.sum(-1)                                                 # [B,2,F]
    beside = (((dist - 1.0).abs() < 0.5) & alive.unsqueeze(1)).to(kind)
    loaded = (last > 4.5).to(kind)                                     # [B,2]
    idle = (last.abs() < 0.5).to(kind)
    south = ((last - 2.0).abs() < 0.5).to(kind)
    north = ((last - 1.0).abs() < 0.5).to(kind)
    east = ((last - 4.0).abs() < 0.5).to(kind)
    west = ((last - 3.0).abs() < 0.5).to(kind)
    before = pos - torch.stack([south - north, east - west], dim=-1)
    dist_before = (before.unsqueeze(2) - food.unsqueeze(1)).abs().sum(-1)
    left_it = torch.clamp(dist - dist_before, min=0.0, max=1.0)
    elsewhere = beside.amax(-1, keepdim=True) - beside
    pin = elsewhere * (2.0 + 2.0 * loaded.unsqueeze(-1)) + 0.4 * left_it
    penalty = pin.flip(1) + 0.5 * pin                                  # [B,2,F]
    gone = FAR * (1.0 - alive_f)                                       # [B,F]

    # value of every own move, while the partner comes one step closer
    mate = torch.clamp(now.flip(1) - 1.0, min=0.0).unsqueeze(2)
    cost = meeting_cost(way, mate, same)                               # [B,2,5,F]
    cost = cost + penalty.unsqueeze(2) + gone[:, None, None, :]
    move_value = torch.exp(-RATE * (cost.amin(-1) + 1.0))              # [B,2,5]

    # value of LOAD: decisive only if the partner is there and loads too
    together = (beside * beside.flip(1)).amax(-1)                      # [B,2]
    likely = 0.65 + 0.3 * loaded - 0.15 * idle
    stay = move_value[:, :, 0]
    load_value = stay + together * likely.flip(1) * (LOAD_VALUE - stay)
    values = torch.cat([move_value, load_value.unsqueeze(-1)], dim=-1)

    centred = values - values.mean(-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(-1) + 1e-8)           # [B,2]

    # a step of an agent that sees no food is less likely to be followed up
    seen = ((gap.amax(-1) < 2.5) & alive.unsqueeze(1)).any(dim=-1).to(kind)
    spread = spread * (0.8 + 0.2 * seen)
    relative = spread / torch.clamp(spread.mean(-1, keepdim=True), min=1e-6)

    # phase: open meeting place -> flatter, last food -> sharper
    floor = (0.5 + 0.2 * both_left).unsqueeze(-1)
    weights = floor + relative

    # return still to be had: the next meal, then the way to the other food
    first = meeting_cost(now[:, 0], now[:, 1], same) + gone            # [B,F]
    wait = first.amin(-1) + 1.0
    between = (food[:, 0] - food[:, 1]).abs().sum(-1)
    next_meal = any_left * torch.exp(-BIAS_RATE * wait)
    last_meal = both_left * torch.exp(-BIAS_RATE * (wait + between))
    bias = BIAS_SCALE * 0.5 * (next_meal + last_meal)
    return weights, bias.unsqueeze(-1)
