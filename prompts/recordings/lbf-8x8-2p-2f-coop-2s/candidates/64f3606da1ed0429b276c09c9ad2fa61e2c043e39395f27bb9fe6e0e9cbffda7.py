import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOG_GAMMA = math.log(0.9)        # discount per step used to compare actions
LOG_GAMMA_BIAS = math.log(0.95)  # milder discount for the bias
LATE = 0.9                       # share of the later agent in the meeting time
COMMIT = 0.7                     # how strongly the pair prefers the food it can load sooner
SKILL = 2.0                      # how strongly the partner is expected to avoid a lost step
TILT = 0.4                       # how the last action changes the chance that an agent loads


def steps_to_cells(pos, food):
    # pos [B, X, Y, 2], food [B, K, 2] -> steps to the 4 cells beside each food [B, X, Y, K, 4]
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


def move_targets(pos, food, alive):
    # cell each agent aims at when it stays or moves in one of four ways, [B, N, 5, 2]
    out = [pos]
    for dr, dc in DIRS:
        row = torch.clamp(pos[..., 0] + dr, 0.0, 7.0)
        col = torch.clamp(pos[..., 1] + dc, 0.0, 7.0)
        new = torch.stack([row, col], dim=-1)
        gap = torch.abs(new.unsqueeze(2) - food.unsqueeze(1)).sum(dim=-1)
        on_food = ((gap < 0.5).to(pos.dtype) * alive.unsqueeze(1)).amax(dim=-1, keepdim=True)
        out.append(torch.where(on_food > 0.5, pos, new))
    return torch.stack(out, dim=2)


def credit(state):
    """An agent earns credit for the variance of the time of the next joint meal over its own
    six actions, averaged over what its partner is likely to do in the same step.
    The later agent on the way to the food that the pair is heading for gets much, an agent
    with time to spare little; beside the food it counts whether the partner will load now."""
    pos = state["agent_position"]
    food_raw = state["food_position"]
    last = state["last_action"]

    is_alive = (state["food_level"] > 0.5) & (food_raw[..., 0] > -0.5)
    alive = is_alive.to(pos.dtype)                                        # [B, K]
    food = torch.where(is_alive.unsqueeze(-1), food_raw, torch.zeros_like(food_raw))

    # which food the pair is heading for
    now = steps_to_cells(pos.unsqueeze(2), food)[:, :, 0]                 # [B, N, K, 4]
    meet_now = meeting_time(now[:, 0], now[:, 1])                         # [B, K]
    heading = torch.softmax(-COMMIT * meet_now - 40.0 * (1.0 - alive), dim=-1) * alive

    # positions after every pair of moves; who aims at the same cell stays, both of them
    aim = move_targets(pos, food, alive)                                  # [B, N, 5, 2]
    aim0 = aim[:, 0].unsqueeze(2)                                         # [B, 5, 1, 2]
    aim1 = aim[:, 1].unsqueeze(1)                                         # [B, 1, 5, 2]
    clash = torch.abs(aim0 - aim1).sum(dim=-1, keepdim=True) < 0.5        # [B, 5, 5, 1]
    zero = torch.zeros_like(aim0 - aim1)                                  # [B, 5, 5, 2]
    here0 = pos[:, 0].unsqueeze(1).unsqueeze(1) + zero
    here1 = pos[:, 1].unsqueeze(1).unsqueeze(1) + zero
    next0 = torch.where(clash, here0, aim0 + zero)
    next1 = torch.where(clash, here1, aim1 + zero)
    wait = meeting_time(steps_to_cells(next0, food), steps_to_cells(next1, food)) + 1.0

    # add LOAD as sixth action: like staying, but both loading the same food eat it now
    beside = (now.amin(dim=-1) < 0.5).to(pos.dtype)                       # [B, N, K]
    both = beside[:, 0] * beside[:, 1] * alive                            # [B, K]
    corner = wait[:, :1, :1] * (1.0 - both.unsqueeze(1).unsqueeze(1))     # [B, 1, 1, K]
    top = torch.cat([wait, wait[:, :, :1]], dim=2)                        # [B, 5, 6, K]
    bottom = torch.cat([wait[:, :1], corner], dim=2)                      # [B, 1, 6, K]
    value = torch.exp(LOG_GAMMA * torch.cat([top, bottom], dim=1))        # [B, 6, 6, K]

    # what each agent is likely to do: avoid losing steps; load if ready
    mixed = (value * heading.unsqueeze(1).unsqueeze(1)).sum(dim=-1)       # [B, 6, 6]
    best = torch.stack([mixed.amax(dim=2), mixed.amax(dim=1)], dim=1)     # [B, N, 6]
    logit = SKILL * torch.log(best + 1e-6) / (-LOG_GAMMA)
    ready = both.amax(dim=-1, keepdim=True)                               # [B, 1]
    moved = ((last > 0.5) & (last < 4.5)).to(pos.dtype)
    idle = (last < 0.5).to(pos.dtype)
    tilt = TILT * ready * (moved - idle)                                  # [B, N]
    logit = torch.cat([logit[..., :5], logit[..., 5:] + tilt.unsqueeze(-1)], dim=-1)
    policy = torch.softmax(logit, dim=-1)                                 # [B, N, 6]

    # variance over the own action for each action of the partner, within each food
    dev0 = value - value.mean(dim=1, keepdim=True)
    dev1 = value - value.mean(dim=2, keepdim=True)
    var0 = (dev0 * dev0).mean(dim=1)                                      # [B, 6, K]
    var1 = (dev1 * dev1).mean(dim=2)                                      # [B, 6, K]
    var0 = ((var0 * policy[:, 1].unsqueeze(-1)).sum(dim=1) * heading).sum(dim=-1)
    var1 = ((var1 * policy[:, 0].unsqueeze(-1)).sum(dim=1) * heading).sum(dim=-1)
    spread = torch.sqrt(torch.stack([var0, var1], dim=-1) + 1e-8)         # [B, N]
    sharp = torch.pow(spread, 1.2)
    share = sharp / (sharp.sum(dim=-1, keepdim=True) + 1e-6)

    # the picture is reliable where agents see food; otherwise lean towards equal weights
    cheb = torch.abs(pos.unsqueeze(2) - food.unsqueeze(1)).amax(dim=-1)   # [B, N, K]
    hidden = torch.clamp(cheb - 2.0, min=0.0)
    sees = (torch.exp(-0.25 * hidden) * alive.unsqueeze(1)).amax(dim=-1)  # [B, N]
    trust = 0.5 + 0.5 * sees.mean(dim=-1, keepdim=True)                   # [B, 1]
    weights = trust * (0.35 + 1.3 * share) + (1.0 - trust)

    # bias: discounted reward of the nearest joint meal, then of the food after it
    first = (torch.exp(LOG_GAMMA_BIAS * (meet_now + 1.0)) * alive).amax(dim=-1, keepdim=True)
    between = torch.abs(food[:, 0] - food[:, 1]).sum(dim=-1, keepdim=True)
    pair = (alive[:, 0] * alive[:, 1]).unsqueeze(-1)
    second = pair * torch.exp(LOG_GAMMA_BIAS * between)
    bias = 0.65 * 0.5 * first * (1.0 + second)                            # [B, 1]
    return weights, bias
