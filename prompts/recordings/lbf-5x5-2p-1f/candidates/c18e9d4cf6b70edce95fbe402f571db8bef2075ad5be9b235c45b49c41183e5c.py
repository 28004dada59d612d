import torch
import torch.nn.functional as F
import math

DR = (0.0, -1.0, 1.0, 0.0, 0.0, 0.0)
DC = (0.0, 0.0, 0.0, -1.0, 1.0, 0.0)
SIDES = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
LOAD = 5
STEP_COST = 0.1


def side_distances(r, c, fr, fc):
    y = r - fr
    x = c - fc
    out = []
    for o in SIDES:
        d = (y - o[0]).abs() + (x - o[1]).abs()
        dot = y * o[0] + x * o[1]
        cross = (y * o[1] - x * o[0]).abs()
        through = ((dot < -0.5) & (cross < 0.5)).to(r.dtype)
        out.append(d + 2.0 * through)
    return torch.stack(out, dim=-1)


def near_one(gap, tau):
    return torch.log(0.5 * (1.0 + torch.exp(-gap / tau)))


def time_left(r0, c0, r1, c1, fr, fc, able0, able1, tau):
    d0 = side_distances(r0, c0, fr, fc)
    d1 = side_distances(r1, c1, fr, fc)
    pairs = []
    for i in range(4):
        for j in range(4):
            if i != j:
                a = d0[..., i]
                b = d1[..., j]
                hi = torch.maximum(a, b)
                lo = torch.minimum(a, b)
                pairs.append(hi + tau * near_one(hi - lo, tau))
    joint = torch.stack(pairs, dim=-1).amin(dim=-1)
    t0 = (d0 + (d1 < 0.5).to(d0.dtype)).amin(dim=-1)
    t1 = (d1 + (d0 < 0.5).to(d0.dtype)).amin(dim=-1)
    race = torch.minimum(t0, t1) - tau * near_one((t0 - t1).abs(), tau)
    both = able0 * able1
    none = (1.0 - able0) * (1.0 - able1)
    return (none * joint + both * race + able0 * (1.0 - able1) * t0
            + (1.0 - able0) * able1 * t1)


def proposals(r, c, fr, fc):
    rows = []
    cols = []
    for k in range(6):
        nr = torch.clamp(r + DR[k], 0.0, 4.0)
        nc = torch.clamp(c + DC[k], 0.0, 4.0)
        hit = ((nr - fr).abs() + (nc - fc).abs()) < 0.5
        rows.append(torch.where(hit, r, nr))
        cols.append(torch.where(hit, c, nc))
    return torch.stack(rows, dim=1), torch.stack(cols, dim=1)


def habit(last, beside):
    out = []
    for k in range(6):
        rep = ((last - k).abs() < 0.5).to(last.dtype)
        if k == LOAD:
            out.append(beside * (0.7 + 1.0 * rep))
        else:
            out.append(0.4 * rep)
    return torch.stack(out, dim=1)


def load_power(level, beside):
    z = torch.zeros_like(level)
    return torch.stack([z, z, z, z, z, level * beside], dim=1)


def credit(state):
    """Credit goes to the agent whose action in this very step moves the moment of eating: the
    later arriver while both are needed, the nearest able agent when one is enough, and both
    equally once both must load. The phase (steps left) decides how sharply the bottleneck is
    singled out, and last actions predict what the partner does meanwhile."""
    pos = state["agent_position"]
    level = state["agent_level"]
    last = state["last_action"]
    food_level = state["food_level"][:, 0]
    present = (food_level > 0.5).to(pos.dtype)
    gone = food_level < 0.5
    fr = state["food_position"][:, 0, 0]
    fc = state["food_position"][:, 0, 1]
    fr = torch.where(gone, torch.full_like(fr, 2.0), fr)
    fc = torch.where(gone, torch.full_like(fc, 2.0), fc)

    r0, c0 = pos[:, 0, 0], pos[:, 0, 1]
    r1, c1 = pos[:, 1, 0], pos[:, 1, 1]
    able = (level >= food_level.unsqueeze(1) - 0.5).to(pos.dtype)
    able0 = able[:, 0].reshape(-1, 1, 1)
    able1 = able[:, 1].reshape(-1, 1, 1)
    fr3 = fr.reshape(-1, 1, 1)
    fc3 = fc.reshape(-1, 1, 1)
    a_r0, a_c0 = r0.reshape(-1, 1, 1), c0.reshape(-1, 1, 1)
    a_r1, a_c1 = r1.reshape(-1, 1, 1), c1.reshape(-1, 1, 1)

    # phase: steps left before the decisive LOAD, [B, 1, 1]
    tau_now = torch.full_like(fr3, 0.5)
    phase = time_left(a_r0, a_c0, a_r1, a_c1, fr3, fc3, able0, able1, tau_now)
    phase = torch.clamp(phase, 0.0, 10.0)
    tau = 0.4 + 0.12 * phase
    temp = 0.3 + 0.06 * phase

    # one step of the board for all joint actions, [B, 6, 6]
    p_r0, p_c0 = proposals(r0, c0, fr, fc)
    p_r1, p_c1 = proposals(r1, c1, fr, fc)
    p_r0, p_c0, p_r1, p_c1 = p_r0.unsqueeze(2), p_c0.unsqueeze(2), p_r1.unsqueeze(1), p_c1.unsqueeze(1)
    clash = (((p_r0 - p_r1).abs() + (p_c0 - p_c1).abs()) < 0.5).to(pos.dtype)
    n_r0 = p_r0 * (1.0 - clash) + a_r0 * clash
    n_c0 = p_c0 * (1.0 - clash) + a_c0 * clash
    n_r1 = p_r1 * (1.0 - clash) + a_r1 * clash
    n_c1 = p_c1 * (1.0 - clash) + a_c1 * clash
    after = time_left(n_r0, n_c0, n_r1, n_c1, fr3, fc3, able0, able1, tau)

    beside0 = (((r0 - fr).abs() + (c0 - fc).abs() - 1.0).abs() < 0.5).to(pos.dtype)
    beside1 = (((r1 - fr).abs() + (c1 - fc).abs() - 1.0).abs() < 0.5).to(pos.dtype)
    power = (load_power(level[:, 0], beside0).unsqueeze(2)
             + load_power(level[:, 1], beside1).unsqueeze(1))
    eaten = (power >= food_level.reshape(-1, 1, 1) - 0.5).to(pos.dtype)
    steps = (1.0 - eaten) * (1.0 + after)
    value = torch.exp(-STEP_COST * steps)

    logits = (-steps / temp + habit(last[:, 0], beside0).unsqueeze(2)
              + habit(last[:, 1], beside1).unsqueeze(1))
    prob = F.softmax(logits.flatten(1), dim=1).reshape(-1, 6, 6)
    act0 = prob.sum(dim=2)
    act1 = prob.sum(dim=1)

    var0 = ((value - value.mean(dim=1, keepdim=True)) ** 2).mean(dim=1)
    var1 = ((value - value.mean(dim=2, keepdim=True)) ** 2).mean(dim=2)
    influence = torch.stack([(var0 * act1).sum(dim=1), (var1 * act0).sum(dim=1)], dim=1)
    spread = torch.sqrt(influence + 1e-7)
    share = spread / torch.clamp(spread.sum(dim=1, keepdim=True), min=1e-6)
    alive = present.unsqueeze(1)
    weights = alive * (share + 0.25) + (1.0 - alive) * torch.ones_like(share)

    bias = 0.5 * alive * torch.exp(math.log(0.93) * phase.reshape(-1, 1))
    return weights, bias
