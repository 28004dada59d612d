import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
SHARP = 8.0                      # how strongly the best food dominates
LATE = 0.85                      # share of the later agent in the meeting time
SEARCH = 0.3                     # extra steps per cell that a food is out of sight
SIGHT = 2.0
COMMIT = 2.0                     # head start, in steps, of a food with an agent beside it
LOAD = 5.0
GONE = -20.0                     # log value of a food that is gone


def steps_to_cells(pos, food):
    # pos [B, N, P, 2], food [B, K, 2] -> steps to the 4 cells beside each food [B, N, P, K, 4]
    rel = pos.unsqueeze(3) - food.unsqueeze(1).unsqueeze(1)
    r = rel[..., 0]
    c = rel[..., 1]
    unseen = torch.clamp(torch.maximum(torch.abs(r), torch.abs(c)) - SIGHT, min=0.0)
    out = []
    for dr, dc in DIRS:
        dist = torch.abs(r - dr) + torch.abs(c - dc)
        along = r * dr + c * dc
        cross = torch.abs(r * dc - c * dr)
        # exactly behind the food: it has to be walked around
        behind = ((along < -0.5) & (cross < 0.5)).to(pos.dtype)
        out.append(dist + 2.0 * behind + SEARCH * unseen)
    return torch.stack(out, dim=-1)


def meeting_time(a, b):
    # steps until two agents stand in two different cells beside a food, [..., 4] -> [...]
    times = []
    for i in range(4):
        for s in range(1, 4):
            x = a[..., i]
            y = b[..., (i + s) % 4]
            times.append(LATE * torch.maximum(x, y) + (1.0 - LATE) * torch.minimum(x, y))
    return torch.amin(torch.stack(times, dim=-1), dim=-1)


def one_step_positions(pos, food, alive, parked):
    # positions after staying and after each of the four moves, [B, N, 5, 2]
    other = torch.flip(pos, dims=[1])
    other_parked = torch.flip(parked, dims=[1])
    out = [pos]
    for dr, dc in DIRS:
        row = torch.clamp(pos[..., 0] + dr, 0.0, 7.0)
        col = torch.clamp(pos[..., 1] + dc, 0.0, 7.0)
        new = torch.stack([row, col], dim=-1)
        gap_food = torch.abs(new.unsqueeze(2) - food.unsqueeze(1)).sum(dim=-1)
        on_food = ((gap_food < 0.5).to(pos.dtype) * alive.unsqueeze(1)).amax(dim=-1)
        # a walking partner will move on; only one that waits beside a food blocks its cell
        on_other = (torch.abs(new - other).sum(dim=-1) < 0.5).to(pos.dtype) * other_parked
        blocked = torch.maximum(on_food, on_other).unsqueeze(-1)
        out.append(torch.where(blocked > 0.5, pos, new))
    return torch.stack(out, dim=2)


def credit(state):
    """An agent earns credit for how much its action in this step can hasten or delay the
    moment at which both agents load one food together. The later agent on the way to the
    food the team is committed to gets much, the more so the longer its partner has to wait;
    agents that arrive together or both stand ready beside a food share about equally."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # where the agents are, and which food the team is committed to
    now = steps_to_cells(pos.unsqueeze(2), food)                          # [B, N, 1, K, 4]
    near = now[:, :, 0].amin(dim=-1)                                      # [B, N, K]
    beside = (near < 0.5).to(pos.dtype) * alive.unsqueeze(1)              # [B, N, K]
    loaded = (torch.abs(last - LOAD) < 0.5).to(pos.dtype)                 # [B, N]
    moved = ((last > 0.5) & (last < 4.5)).to(pos.dtype)                   # [B, N]
    commit = COMMIT * (beside * (1.0 + loaded.unsqueeze(-1))).sum(dim=1)  # [B, K]
    handicap = commit.amax(dim=-1, keepdim=True) - commit                 # [B, K], >= 0

    # how far the pair is from loading after each stay or move of one agent
    parked = beside.amax(dim=-1)                                          # [B, N]
    after = steps_to_cells(one_step_positions(pos, food, alive, parked), food)
    partner = torch.clamp(torch.flip(now, dims=[1]) - 1.0, min=0.0)       # [B, N, 1, K, 4]
    wait = meeting_time(after, partner) + 1.0                             # [B, N, 5, K]
    live = alive.unsqueeze(1).unsqueeze(1)
    log_value = LOG_GAMMA * (wait + handicap.unsqueeze(1).unsqueeze(1))
    log_value = live * log_value + (1.0 - live) * GONE
    value = torch.exp(torch.logsumexp(SHARP * log_value, dim=-1) / SHARP)  # [B, N, 5]

    # LOAD: reward at once if both stand beside the same food and the partner loads too
    ready = (beside[:, 0] * beside[:, 1]).amax(dim=-1, keepdim=True)      # [B, 1]
    will_load = 0.6 + 0.2 * loaded + 0.25 * moved                         # [B, N]
    stay = value[:, :, 0]
    gain = torch.clamp(1.0 - stay, min=0.0)
    load = stay + ready * torch.flip(will_load, dims=[1]) * gain
    value = torch.cat([value, load.unsqueeze(-1)], dim=-1)                # [B, N, 6]

    # spread of the value over the agent's own actions
    centred = value - value.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=-1) + 1e-8)          # [B, N]

    # the food in focus, the gap between the arrival times there, and how well it is seen
    meet = meeting_time(now[:, 0, 0], now[:, 1, 0]) + 1.0                 # [B, K]
    log_food = alive * LOG_GAMMA * (meet + handicap) + (1.0 - alive) * GONE
    focus = F.softmax(SHARP * log_food, dim=-1) * alive                   # [B, K]
    gap = torch.abs((focus * (near[:, 0] - near[:, 1])).sum(dim=-1, keepdim=True))
    cheb = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1)).amax(dim=-1)   # [B, N, K]
    hidden = torch.clamp(cheb - SIGHT, min=0.0).sum(dim=1)                # [B, K]
    trust = 1.0 / (1.0 + 0.1 * (focus * hidden).sum(dim=-1, keepdim=True))

    # near equal for a joint arrival, sharp where one agent has steps to spare
    power = 0.7 + 0.4 * torch.clamp(gap, max=2.0)                         # [B, 1]
    share = F.softmax(power * torch.log(spread), dim=-1)                  # [B, N]
    weights = 1.0 + 1.3 * trust * (share - 0.5)                           # 0.35 to 1.65

    # bias: discounted reward of the nearest joint meal, then of the food after it
    first = (torch.exp(LOG_GAMMA_BIAS * meet) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    both = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = both * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.65 * 0.5 * first * (1.0 + second)                            # [B, 1]
    return weights, bias
