import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
SHARP = 6.0                      # how strongly the best food dominates
SMOOTH = 0.6                     # steps of uncertainty about the arrival times
UNSEEN = 0.5                     # extra steps per cell that a food is out of sight
COMMIT = 2.5                     # steps by which a food nobody waits at is put back
POWER = 1.25                     # sharpening of the shares
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
    cells = torch.stack(out, dim=-1)
    hidden = torch.clamp(torch.maximum(torch.abs(r), torch.abs(c)) - 2.0, min=0.0)
    return cells + UNSEEN * hidden.unsqueeze(-1)


def meeting_time(a, b):
    # steps until two agents stand in two different cells beside a food, [..., 4] -> [...]
    times = []
    for i in range(4):
        for s in range(1, 4):
            j = (i + s) % 4
            x = a[..., i]
            y = b[..., j]
            gap = torch.abs(x - y)
            soft = SMOOTH * torch.log(1.0 + torch.exp(-gap / SMOOTH))
            times.append(torch.maximum(x, y) + soft)
    return torch.amin(torch.stack(times, dim=-1), dim=-1)


def one_step_positions(pos, food, alive, settled):
    # positions after staying and after each of the four moves, [B, N, 5, 2];
    # the partner's cell is closed only if the partner has settled beside a food
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
    """An agent earns credit when its action in this step hastens or delays the joint meal:
    the later agent on the way to the food gets much, one that waits with time to spare little.
    When both stand ready beside one food, an agent's credit is the chance that its partner
    loads in this very step, because only then does its own LOAD decide anything."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # who stands beside which living food, and which food is being waited at
    gap = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1))                 # [B, N, K, 2]
    beside = (torch.abs(gap.sum(dim=-1) - 1.0) < 0.5).to(pos.dtype) * alive.unsqueeze(1)
    settled = beside.amax(dim=-1)                                         # [B, N]
    loaded = (torch.abs(last - LOAD) < 0.5).to(pos.dtype)                 # [B, N]
    commit = (beside * (0.6 + 0.4 * loaded).unsqueeze(-1)).amax(dim=1)    # [B, K]
    behind = COMMIT * (commit.amax(dim=-1, keepdim=True) - commit)        # [B, K]

    # where each agent can be after this step, and how far the pair is from loading then
    now = steps_to_cells(pos.unsqueeze(2), food)                          # [B, N, 1, K, 4]
    after = steps_to_cells(one_step_positions(pos, food, alive, settled), food)
    partner = torch.clamp(torch.flip(now, dims=[1]) - 1.0, min=0.0).expand_as(after)
    wait = meeting_time(after, partner) + 1.0                             # [B, N, 5, K]
    wait = wait + behind.unsqueeze(1).unsqueeze(1)

    mask = is_alive.unsqueeze(1).unsqueeze(1).expand_as(wait)
    log_value = torch.where(mask, LOG_GAMMA * wait, torch.full_like(wait, -20.0))
    value = torch.exp(torch.logsumexp(SHARP * log_value, dim=-1) / SHARP)  # [B, N, 5]
    value = torch.cat([value, value[:, :, :1]], dim=-1)                   # LOAD alone = staying

    # spread of the value over the agent's own actions
    centred = value - value.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=-1) + 1e-8)          # [B, N]
    strong = torch.pow(spread, POWER)
    share_walk = strong / (strong.sum(dim=-1, keepdim=True) + 1e-6)

    # both ready beside the same food: what counts is whether the other one loads now
    ready = (beside[:, 0] * beside[:, 1]).amax(dim=-1, keepdim=True)      # [B, 1]
    idle = (torch.abs(last) < 0.5).to(pos.dtype)
    moved = ((last > 0.5) & (last < 4.5)).to(pos.dtype)
    loads = 0.8 + 0.1 * moved - 0.2 * idle                                # [B, N]
    share_ready = torch.flip(loads, dims=[1]) / loads.sum(dim=-1, keepdim=True)
    share = ready * share_ready + (1.0 - ready) * share_walk

    # lean towards equal weights the farther even the nearer agent is from seeing food
    cheb = gap.amax(dim=-1)                                               # [B, N, K]
    seen_mask = is_alive.unsqueeze(1).expand_as(cheb)
    cheb = torch.where(seen_mask, cheb, torch.full_like(cheb, 7.0))
    excess = torch.clamp(cheb.amin(dim=-1) - 2.0, min=0.0)                # [B, N]
    near = excess.amin(dim=-1, keepdim=True)
    far = excess.amax(dim=-1, keepdim=True)
    trust = torch.clamp(1.0 - 0.2 * near - 0.04 * far, 0.4, 1.0)          # [B, 1]
    weights = 0.45 + 2.0 * (trust * share + (1.0 - trust) * 0.5)

    # bias: discounted reward of the nearest joint meal, then of the food after it
    meet = meeting_time(now[:, 0, 0], now[:, 1, 0]) + 1.0                 # [B, K]
    first = (torch.exp(LOG_GAMMA_BIAS * meet) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    both = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = both * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.65 * 0.5 * first * (1.0 + second)                            # [B, 1]
    return weights, bias
