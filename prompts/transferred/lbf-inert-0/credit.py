import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
SHARP = 6.0                      # how strongly the best food dominates
LATE = 0.85                      # share of the later agent in the meeting time
LOAD = 5.0


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
    for i in range(4):
        for s in range(1, 4):
            j = (i + s) % 4
            x = a[..., i]
            y = b[..., j]
            times.append(LATE * torch.maximum(x, y) + (1.0 - LATE) * torch.minimum(x, y))
    return torch.amin(torch.stack(times, dim=-1), dim=-1)


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
    """An agent earns credit for the opportunity in its hands: how much its action in this
    step can hasten or delay the moment at which both agents load one food together.
    The later agent on the way to the best food, or both agents when both stand ready beside
    it, get much; an agent that has time to spare while its partner is still coming gets little."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # where each agent can be after this step, and how far the pair is from loading then
    now = steps_to_cells(pos.unsqueeze(2), food)                          # [B, N, 1, K, 4]
    after = steps_to_cells(one_step_positions(pos, food, alive), food)    # [B, N, 5, K, 4]
    partner = torch.clamp(torch.flip(now, dims=[1]) - 1.0, min=0.0)
    partner = partner.expand_as(after)
    wait = meeting_time(after, partner) + 1.0                             # [B, N, 5, K]

    mask = is_alive.unsqueeze(1).unsqueeze(1).expand_as(wait)
    log_value = torch.where(mask, LOG_GAMMA * wait, torch.full_like(wait, -20.0))
    value = torch.exp(torch.logsumexp(SHARP * log_value, dim=-1) / SHARP)  # [B, N, 5]

    # LOAD: immediate reward if both stand beside the same food and the partner loads too
    beside = (now[:, :, 0].amin(dim=-1) < 0.5).to(pos.dtype)              # [B, N, K]
    ready = (beside[:, 0] * beside[:, 1] * alive).amax(dim=-1, keepdim=True)
    loaded = (torch.abs(last - LOAD) < 0.5).to(pos.dtype)
    partner_loads = 0.7 + 0.2 * torch.flip(loaded, dims=[1])              # [B, N]
    stay = value[:, :, 0]
    load = stay + ready * partner_loads * torch.clamp(1.0 - stay, min=0.0)
    value = torch.cat([value, load.unsqueeze(-1)], dim=-1)                # [B, N, 6]

    # spread of the value over the agent's own actions
    centred = value - value.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=-1) + 1e-8)          # [B, N]
    share = spread / (spread.sum(dim=-1, keepdim=True) + 1e-4)

    # the picture is reliable where agents see food; otherwise lean towards equal weights
    cheb = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1)).amax(dim=-1)   # [B, N, K]
    sees = ((cheb < 2.5).to(pos.dtype) * alive.unsqueeze(1)).amax(dim=-1)
    trust = 0.5 + 0.5 * sees.mean(dim=-1, keepdim=True)                   # [B, 1]
    weights = 0.4 + trust * 2.0 * share + (1.0 - trust)

    # bias: discounted reward of the nearest joint meal, then of the food after it
    meet = meeting_time(now[:, 0, 0], now[:, 1, 0]) + 1.0                 # [B, K]
    first = (torch.exp(LOG_GAMMA_BIAS * meet) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    both = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = both * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.8 * 0.5 * first * (1.0 + second)                             # [B, 1]
    return weights, bias
