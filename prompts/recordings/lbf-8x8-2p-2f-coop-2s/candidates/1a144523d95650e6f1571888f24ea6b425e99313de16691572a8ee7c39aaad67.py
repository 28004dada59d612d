import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
SHARP = 6.0                      # how strongly the best food dominates
LATE = 0.85                      # share of the later agent in the meeting time
GREED = 4.0                      # how much sensible actions outweigh poor ones


def steps_to_cells(pos, food):
    # pos [B, N, P, 2], food [B, K, 2] -> steps to the 4 cells beside each food [B, N, P, K, 4]
    rel = pos.unsqueeze(3) - food.unsqueeze(1).unsqueeze(1)
    r = rel[..., 0]
    c = rel[..., 1]
    out = []
    for dr, dc in DIRS:
        dist = torch.abs(r - dr) + torch.abs(c - dc)
        along = r * dr + c * dc
        cross = torch.abs(r * dc - c * dr)
        # exactly behind the food: it has to be walked around
        behind = ((along < -0.5) & (cross < 0.5)).to(pos.dtype)
        out.append(dist + 2.0 * behind)
    return torch.stack(out, dim=-1)


def meeting_time(a, b):
    # steps until two agents stand in two different cells beside a food, [..., 4] -> [...]
    times = []
    for s in range(1, 4):
        y = torch.cat([b[..., s:], b[..., :s]], dim=-1)
        times.append(LATE * torch.maximum(a, y) + (1.0 - LATE) * torch.minimum(a, y))
    return torch.amin(torch.cat(times, dim=-1), dim=-1)


def one_step_positions(pos, food, alive):
    # positions after staying and after each of the four moves, [B, N, 5, 2]
    other = torch.flip(pos, dims=[1])
    out = [pos]
    for dr, dc in DIRS:
        row = torch.clamp(pos[..., 0] + dr, 0.0, 7.0)
        col = torch.clamp(pos[..., 1] + dc, 0.0, 7.0)
        new = torch.stack([row, col], dim=-1)
        gap_food = torch.abs(new.unsqueeze(2) - food.unsqueeze(1)).sum(dim=-1)
        on_food = ((gap_food < 0.5).to(pos.dtype) * alive.unsqueeze(1)).amax(dim=-1)
        on_other = (torch.abs(new - other).sum(dim=-1) < 0.5).to(pos.dtype)
        blocked = torch.maximum(on_food, on_other).unsqueeze(-1)
        out.append(torch.where(blocked > 0.5, pos, new))
    return torch.stack(out, dim=2)


def credit(state):
    """An agent earns credit for how much its action in this step can hasten or delay the
    moment at which both agents load one food together. The later agent on the way to the
    best food gets much, one with time to spare little; when both stand ready beside a food
    both get credit, a bit more the one whose partner is surer to load now."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # where each agent can be after this step, and how far the pair is from loading then
    now = steps_to_cells(pos.unsqueeze(2), food)                          # [B, N, 1, K, 4]
    after = steps_to_cells(one_step_positions(pos, food, alive), food)    # [B, N, 5, K, 4]
    partner = torch.clamp(torch.flip(now, dims=[1]) - 1.0, min=0.0).expand_as(after)
    wait = meeting_time(after, partner) + 1.0                             # [B, N, 5, K]

    mask = is_alive.unsqueeze(1).unsqueeze(1).expand_as(wait)
    log_value = torch.where(mask, LOG_GAMMA * wait, torch.full_like(wait, -20.0))
    value = torch.exp(torch.logsumexp(SHARP * log_value, dim=-1) / SHARP)  # [B, N, 5]

    # LOAD: immediate reward if both stand beside the same food and the partner loads too;
    # a partner that has just arrived is the surest to load, an idle one the least sure
    beside = (now[:, :, 0].amin(dim=-1) < 0.5).to(pos.dtype)              # [B, N, K]
    ready = (beside[:, 0] * beside[:, 1] * alive).amax(dim=-1, keepdim=True)
    moved = ((last > 0.5) & (last < 4.5)).to(pos.dtype)
    loaded = (last > 4.5).to(pos.dtype)
    idle = (torch.abs(last) < 0.5).to(pos.dtype)
    partner_loads = torch.flip(0.8 + 0.1 * moved - 0.1 * loaded - 0.2 * idle, dims=[1])
    stay = value[:, :, 0]
    load = stay + ready * partner_loads * torch.clamp(1.0 - stay, min=0.0)
    value = torch.cat([value, load.unsqueeze(-1)], dim=-1)                # [B, N, 6]

    # spread of the value over the agent's own actions, sensible actions count more
    prob = torch.softmax(GREED * torch.log(value + 1e-6), dim=-1)
    mean = (prob * value).sum(dim=-1, keepdim=True)
    centred = value - mean
    spread = torch.sqrt((prob * centred * centred).sum(dim=-1) + 1e-8)    # [B, N]
    sharp = torch.pow(spread, 1.2)
    share = sharp / (sharp.sum(dim=-1, keepdim=True) + 1e-6)

    # the picture is reliable where agents see food; otherwise lean towards equal weights
    cheb = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1)).amax(dim=-1)   # [B, N, K]
    hidden = torch.clamp(cheb - 2.0, min=0.0)                             # cells out of sight
    sees = (torch.exp(-0.25 * hidden) * alive.unsqueeze(1)).amax(dim=-1)
    trust = 0.5 + 0.5 * sees.mean(dim=-1, keepdim=True)                   # [B, 1]
    weights = 0.35 + 1.3 * (trust * share + (1.0 - trust) * 0.5)

    # bias: discounted reward of the nearest joint meal, then of the food after it
    meet = meeting_time(now[:, 0, 0], now[:, 1, 0]) + 1.0                 # [B, K]
    first = (torch.exp(LOG_GAMMA_BIAS * meet) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    both = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = both * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.65 * 0.5 * first * (1.0 + second)                            # [B, 1]
    return weights, bias
