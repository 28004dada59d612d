import torch

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.25       # loss of value per step of arrival time
SLACK = 0.3       # how much the earlier arrivals of a coalition matter
KEEP = 0.7        # value of a food that is ready but not eaten now
UNSEEN = 1.5      # extra steps for a food out of sight
BUSY = 0.5        # delay at a food per step by which another one is nearer
HARD = 3.0        # steps by which a food that needs partners looks farther
LOAD_GAIN = 0.55  # extra weight of a LOAD that makes the difference now
FAR = 30.0
FLOOR = 0.25

def gaps(row, col, points):
    # row, col: [B, N], points: [B, M, 2] -> absolute differences [B, N, M]
    dr = torch.abs(row.unsqueeze(2) - points[:, :, 0].unsqueeze(1))
    dc = torch.abs(col.unsqueeze(2) - points[:, :, 1].unsqueeze(1))
    return dr, dc

def occupied(row, col, points):
    dr, dc = gaps(row, col, points)
    return (dr + dc < 0.5).to(row.dtype)

def arrival(row, col, food, alive):
    # steps until each agent stands beside each food: [B, N, F]
    dr, dc = gaps(row, col, food)
    steps = torch.clamp(dr + dc - 1.0, min=0.0)
    hidden = (torch.maximum(dr, dc) > 2.5).to(steps.dtype)
    there = alive.unsqueeze(1)
    return there * (steps + UNSEEN * hidden) + (1.0 - there) * FAR

def move_one(pos, food, alive, eye, dr, dc):
    row = pos[:, :, 0] + dr
    col = pos[:, :, 1] + dc
    inside = (row > -0.5) & (row < 9.5) & (col > -0.5) & (col < 9.5)
    on_food = (occupied(row, col, food) * alive.unsqueeze(1)).sum(2)
    on_agent = (occupied(row, col, pos) * (1.0 - eye)).sum(2)
    go = inside.to(pos.dtype) * (1.0 - torch.clamp(on_food + on_agent, max=1.0))
    return pos[:, :, 0] + go * dr, pos[:, :, 1] + go * dc

def coalition_value(dist, level, need, solo, team, rate, best_part):
    # dist: [B, X, Y, N, F]; solo, team: reliabilities [B, N, F]
    # -> value in 0..1 of each food: [B, X, Y, F]
    best = torch.zeros_like(dist[:, :, :, 0, :])
    total = torch.zeros_like(best)
    count = torch.zeros_like(need)
    for c in COALITIONS:
        strength = level[:, c[0]]
        longest = dist[:, :, :, c[0], :]
        summed = longest
        factor = solo[:, c[0]] if len(c) == 1 else team[:, c[0]]
        for j in c[1:]:
            strength = strength + level[:, j]
            longest = torch.maximum(longest, dist[:, :, :, j, :])
            summed = summed + dist[:, :, :, j, :]
            factor = factor * team[:, j]
        able = (strength.unsqueeze(1) >= need - 0.01).to(dist.dtype)
        time = longest + SLACK * (summed - longest)
        value = (able * factor).unsqueeze(1).unsqueeze(1) * torch.exp(-rate * time)
        best = torch.maximum(best, value)
        total = total + value
        count = count + able
    mean = total / torch.clamp(count, min=1.0).unsqueeze(1).unsqueeze(1)
    return best_part * best + (1.0 - best_part) * mean

def enough(pj, pk, lj, lk, own, need):
    # probability that the loads of j and k plus the strength own suffice: [B, F]
    low = need - 0.01
    none = (own >= low).to(pj.dtype)
    only_j = (own + lj >= low).to(pj.dtype)
    only_k = (own + lk >= low).to(pj.dtype)
    both = (own + lj + lk >= low).to(pj.dtype)
    return ((1.0 - pj) * (1.0 - pk) * none + pj * (1.0 - pk) * only_j
            + (1.0 - pj) * pk * only_k + pj * pk * both)

def credit(state):
    """An agent earns credit if its own LOAD decides now whether a food is eaten,
    or if its move changes how soon the best coalition eats: the fastest agent at
    a food for one, the last missing member at a food for several. Replaceable,
    too weak and far agents get little, and so do teams whose members are not
    yet near the food."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"]
    last = state["last_action"]
    alive = ((state["food_level"] > 0.5) & (food[:, :, 0] > -0.5)).to(pos.dtype)
    there = alive.unsqueeze(1)
    need = state["food_level"] * alive
    eye = torch.diag_embed(torch.ones_like(level))
    # share of the return in each food; eaten foods count with the expected level
    gone = (1.0 - alive).sum(1, keepdim=True)
    expected = 0.5 * (level.sum(1, keepdim=True) + 1.0)
    initial = torch.clamp(need.sum(1, keepdim=True) + gone * expected, min=1.0)
    part = (need / initial).unsqueeze(1).unsqueeze(1)
    # who stands beside or sees which food, and how reliable that makes it there
    dr, dc = gaps(pos[:, :, 0], pos[:, :, 1], food)
    beside = (torch.abs(dr + dc - 1.0) < 0.5).to(pos.dtype) * there
    sight = (torch.maximum(dr, dc) < 2.5).to(pos.dtype) * there
    solo = 0.7 + 0.25 * sight + 0.05 * beside
    team = 0.3 + 0.25 * sight + 0.3 * beside
    # an agent with a nearer or easier food comes later to the others
    base = arrival(pos[:, :, 0], pos[:, :, 1], food, alive)
    alone = (level.unsqueeze(2) >= need.unsqueeze(1) - 0.01).to(pos.dtype)
    score = base + HARD * (1.0 - alone) * there
    nearest = score[:, :, 0]
    for f in range(1, food.shape[1]):
        nearest = torch.minimum(nearest, score[:, :, f])
    busy = BUSY * torch.clamp(score - nearest.unsqueeze(2), min=0.0) * there
    # value of the foods after each move of each single agent: [B, 5, N, F]
    moved = []
    for m in MOVES:
        row, col = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(row, col, food, alive) + busy)
    moved = torch.stack(moved, dim=1)
    mask = eye.unsqueeze(1).unsqueeze(4)
    rest = (base + busy).unsqueeze(1).unsqueeze(1)
    dist = mask * moved.unsqueeze(2) + (1.0 - mask) * rest
    future = KEEP * coalition_value(dist, level, need, solo, team, RATE, 0.92)
    # probability that an agent beside a food loads in this step
    again = (last > 4.5).to(pos.dtype).unsqueeze(2)
    p = beside * torch.clamp(0.72 + 0.16 * again + 0.12 * alone, max=0.92)
    without = []
    together = []
    n = level.shape[1]
    lev = level.unsqueeze(2)
    for i in range(n):
        j = (i + 1) % n
        k = (i + 2) % n
        own = lev[:, i] * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lev[:, j], lev[:, k],
                              torch.zeros_like(own), need))
        together.append(enough(p[:, j], p[:, k], lev[:, j], lev[:, k], own, need))
    without = torch.stack(without, dim=1).unsqueeze(1)
    together = torch.stack(together, dim=1).unsqueeze(1)
    # spread of the values of the six actions, and the gain by LOAD over NONE
    q_move = (part * (without + (1.0 - without) * future)).sum(3)
    q_load = (part * (together + (1.0 - together) * future[:, 0:1])).sum(3)
    q = torch.cat([q_move, q_load], dim=1)
    centred = q - q.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8)
    gain = torch.clamp(q_load[:, 0] - q_move[:, 0], min=0.0)
    power = spread + LOAD_GAIN * gain
    weights = FLOOR + power / (power.sum(1, keepdim=True) + 0.001)
    # cautious estimate of the return still to be had
    sure = torch.ones_like(base)
    still = coalition_value(base.unsqueeze(1).unsqueeze(1), level, need,
                            sure, 0.97 * sure, 0.05, 0.85)
    bias = 0.5 * (part * still).sum(3)[:, :, 0]
    return weights, bias
