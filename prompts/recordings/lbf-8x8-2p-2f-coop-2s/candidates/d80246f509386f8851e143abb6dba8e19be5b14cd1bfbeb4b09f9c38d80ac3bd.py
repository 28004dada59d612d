import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
SHARP = 6.0                      # how strongly the best food dominates
LATE = 0.85                      # share of the later agent in the meeting time
LOAD = 5.0
CLAIM = 2.5                      # pull of a food that an agent stands beside
CLAIM_LOAD = 2.5                 # further pull if that agent has just loaded


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


def one_step_positions(pos, food, alive, settled):
    # positions after staying and after each of the four moves, [B, N, 5, 2];
    # the partner's cell is blocked only if the partner is settled beside a food
    other = torch.flip(pos, dims=[1])
    other_settled = torch.flip(settled, dims=[1])
    out = [pos]
    for dr, dc in DIRS:
        row = torch.clamp(pos[..., 0] + dr, 0.0, 7.0)
        col = torch.clamp(pos[..., 1] + dc, 0.0, 7.0)
        new = torch.stack([row, col], dim=-1)
        gap_food = torch.abs(new.unsqueeze(2) - food.unsqueeze(1)).sum(dim=-1)
        on_food = ((gap_food < 0.5).to(pos.dtype) * alive.unsqueeze(1)).amax(dim=-1)
        on_other = (torch.abs(new - other).sum(dim=-1) < 0.5).to(pos.dtype) * other_settled
        blocked = torch.maximum(on_food, on_other).unsqueeze(-1)
        out.append(torch.where(blocked > 0.5, pos, new))
    return torch.stack(out, dim=2)


def credit(state):
    """An agent earns credit for how much its action in this step can hasten or delay the
    moment at which both agents load one food together. The agent that arrives later at the
    food that matters (one that its partner already stands beside comes first) gets much, one
    with time to spare gets little; two agents that arrive together or stand ready share."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # who stands beside which living food, and who has just loaded
    now = steps_to_cells(pos.unsqueeze(2), food)                          # [B, N, 1, K, 4]
    arrival = now[:, :, 0].amin(dim=-1)                                   # [B, N, K]
    beside = (arrival < 0.5).to(pos.dtype) * alive.unsqueeze(1)           # [B, N, K]
    settled = beside.amax(dim=-1)                                         # [B, N]
    loaded = (torch.abs(last - LOAD) < 0.5).to(pos.dtype)                 # [B, N]

    # a food that is claimed pushes the other food into the background, for both agents
    claim = (beside * (CLAIM + CLAIM_LOAD * loaded).unsqueeze(-1)).sum(dim=1)
    prior = claim - claim.amax(dim=-1, keepdim=True)                      # [B, K], <= 0

    # where each agent can be after this step, and how far the pair is from loading then
    after = steps_to_cells(one_step_positions(pos, food, alive, settled), food)
    partner = torch.clamp(torch.flip(now, dims=[1]) - 1.0, min=0.0)
    partner = partner.expand_as(after)
    wait = meeting_time(after, partner) + 1.0                             # [B, N, 5, K]
    mask = is_alive.unsqueeze(1).unsqueeze(1).expand_as(wait)
    log_value = torch.where(mask, LOG_GAMMA * wait, torch.full_like(wait, -20.0))
    score = SHARP * log_value + prior.unsqueeze(1).unsqueeze(1)
    value = torch.exp(torch.logsumexp(score, dim=-1) / SHARP)             # [B, N, 5]

    # LOAD: immediate reward if both stand beside the same food and the partner loads too;
    # symmetric, with a small tilt towards the agent that has just loaded
    ready = (beside[:, 0] * beside[:, 1]).amax(dim=-1, keepdim=True)      # [B, 1]
    partner_loads = 0.8 + 0.08 * (loaded - torch.flip(loaded, dims=[1]))  # [B, N]
    stay = value[:, :, 0]
    load = stay + ready * partner_loads * torch.clamp(1.0 - stay, min=0.0)
    value = torch.cat([value, load.unsqueeze(-1)], dim=-1)                # [B, N, 6]

    # spread of the value over the agent's own actions
    centred = value - value.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=-1) + 1e-8)          # [B, N]

    # difference of the arrival times at the food that matters: sharp shares only if clear
    meet = meeting_time(now[:, 0, 0], now[:, 1, 0]) + 1.0                 # [B, K]
    log_meet = torch.where(is_alive, LOG_GAMMA * meet, torch.full_like(meet, -20.0))
    focus = torch.softmax(SHARP * log_meet + prior, dim=-1)               # [B, K]
    gap = torch.abs((focus * (arrival[:, 0] - arrival[:, 1])).sum(dim=-1, keepdim=True))
    power = 0.7 + 0.8 * torch.clamp(gap - 1.0, 0.0, 1.0)                  # [B, 1]
    sharp = torch.exp(power * torch.log(spread))                          # [B, N]
    share = sharp / torch.clamp(sharp.sum(dim=-1, keepdim=True), min=1e-8)

    # trust: full if one is beside a food that the other sees, less with food out of sight
    cheb = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1)).amax(dim=-1)   # [B, N, K]
    cheb = torch.where(is_alive.unsqueeze(1).expand_as(cheb), cheb, torch.full_like(cheb, 10.0))
    sees = (cheb < 2.5).to(pos.dtype)
    engaged = (beside.amax(dim=1) * sees.amin(dim=1)).amax(dim=-1, keepdim=True)
    outside = torch.clamp(cheb.amin(dim=-1) - 2.0, min=0.0)               # [B, N]
    vision = torch.exp(-0.25 * outside).mean(dim=-1, keepdim=True)
    trust = 0.4 + 0.5 * vision + 0.1 * engaged                            # [B, 1]
    weights = 1.0 + 1.3 * trust * (share - 0.5)                           # 0.35 to 1.65

    # bias: discounted reward of the nearest joint meal, then of the food after it
    first = (torch.exp(LOG_GAMMA_BIAS * meet) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    both = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = both * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.65 * 0.5 * first * (1.0 + second)                            # [B, 1]
    return weights, bias
