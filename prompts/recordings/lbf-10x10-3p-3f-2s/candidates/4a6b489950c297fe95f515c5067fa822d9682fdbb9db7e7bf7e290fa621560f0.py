import torch
import torch.nn.functional as F
import math

LOG_NEAR = math.log(0.75)    # steep discount per step of distance, for the weights
LOG_BIAS = math.log(0.92)    # flatter discount, for the bias
DELAY = 0.9                  # worth of a food that is not eaten in this step
BIAS_SCALE = 0.4


def next_agent(x):
    # column i gets the entry of agent i + 1 (cyclic)
    return torch.cat([x[:, 1:], x[:, :1]], dim=1)


def pace2(a, b):
    # time a pair needs: mostly that of its last member
    return 0.75 * torch.maximum(a, b) + 0.125 * (a + b)


def pace3(a, b, c):
    return 0.75 * torch.maximum(torch.maximum(a, b), c) + (a + b + c) / 12.0


def enough(level, need):
    return (level >= need - 0.01).float()


def coalitions(li, lj, lk, need, di, dj, dk, cj, ck, log_g):
    # closeness of the best coalition with agent i, and of the best without it
    own = enough(li, need) * torch.exp(log_g * di)
    own = torch.maximum(own, enough(li + lj, need) * cj * torch.exp(log_g * pace2(di, dj)))
    own = torch.maximum(own, enough(li + lk, need) * ck * torch.exp(log_g * pace2(di, dk)))
    own = torch.maximum(own, enough(li + lj + lk, need) * cj * ck
                        * torch.exp(log_g * pace3(di, dj, dk)))
    rest = torch.maximum(enough(lj, need) * cj * torch.exp(log_g * dj),
                         enough(lk, need) * ck * torch.exp(log_g * dk))
    rest = torch.maximum(rest, enough(lj + lk, need) * cj * ck
                         * torch.exp(log_g * pace2(dj, dk)))
    return own, rest


def eaten_now(x, lj, lk, pj, pk, need):
    # probability that level x plus the others who load reaches the food's level
    return (pj * pk * enough(x + lj + lk, need)
            + pj * (1.0 - pk) * enough(x + lj, need)
            + (1.0 - pj) * pk * enough(x + lk, need)
            + (1.0 - pj) * (1.0 - pk) * enough(x, need))


def credit(state):
    """An agent earns credit by how much its six possible actions differ in value now:
    completing a LOAD that would fail without it, or being the member that the best
    coalition for a food still waits for. Last actions tell which partners wait or
    approach, and the fewer foods are left, the sharper the credit is divided."""
    pos = state["agent_position"]            # [B, N, 2]
    level = state["agent_level"]             # [B, N]
    fpos = state["food_position"]            # [B, M, 2]
    flevel = state["food_level"]             # [B, M]
    last = state["last_action"]              # [B, N]

    alive = ((flevel > 0.5) & (fpos[:, :, 0] > -0.5)).float()      # [B, M]
    safe = torch.where(alive.unsqueeze(-1) > 0.5, fpos, torch.zeros_like(fpos))

    # ---- phase: what is left, as share of an estimate of all food levels
    left = alive.sum(dim=1, keepdim=True)                          # [B, 1]
    crowd = torch.clamp((left - 1.0) / 2.0, min=0.0, max=1.0)      # 1 early, 0 at the end
    mean_level = 0.5 * (level.sum(dim=1, keepdim=True) + 1.0)
    gone = (1.0 - alive).sum(dim=1, keepdim=True)
    total = (flevel * alive).sum(dim=1, keepdim=True) + gone * mean_level
    share = flevel * alive / torch.clamp(total, min=1.0)           # [B, M]

    # ---- where everybody stands and what the last actions reveal
    diff = (pos.unsqueeze(2) - safe.unsqueeze(1)).abs()            # [B, N, M, 2]
    md = diff.sum(dim=-1)                                          # [B, N, M]
    live = alive.unsqueeze(1)                                      # [B, 1, M]
    adj = (md < 1.5).float() * live
    seen = (diff.amax(dim=-1) < 2.5).float()
    step_r = (last == 2).float() - (last == 1).float()
    step_c = (last == 4).float() - (last == 3).float()
    before = pos - torch.stack([step_r, step_c], dim=-1)
    md_before = (before.unsqueeze(2) - safe.unsqueeze(1)).abs().sum(dim=-1)
    heading = (md_before > md + 0.5).float()
    loaded = (last == 5).float().unsqueeze(-1)                     # [B, N, 1]
    solo = (level.unsqueeze(-1) >= flevel.unsqueeze(1) - 0.01).float()
    p_load = adj * torch.maximum(0.55 + 0.3 * loaded, 0.75 * solo)
    far = 0.45 + 0.2 * seen + 0.12 * heading + 0.1 * (1.0 - crowd).unsqueeze(-1)
    commit = adj * (0.75 + 0.15 * loaded) + (1.0 - adj) * far      # [B, N, M]
    dist = torch.clamp(md - 1.0, min=0.0)                          # steps until beside it

    # ---- the six actions of each agent, the others staying
    z = torch.zeros_like(level)
    off_r = torch.stack([z, z - 1.0, z + 1.0, z, z, z], dim=-1)
    off_c = torch.stack([z, z, z, z - 1.0, z + 1.0, z], dim=-1)
    here = pos.unsqueeze(2)                                        # [B, N, 1, 2]
    new = torch.clamp(here + torch.stack([off_r, off_c], dim=-1), min=0.0, max=9.0)
    to_food = (new.unsqueeze(3) - safe.unsqueeze(1).unsqueeze(1)).abs().sum(dim=-1)
    hit_food = ((to_food < 0.5).float() * live.unsqueeze(2)).amax(dim=-1)
    pos_j = next_agent(pos)
    pos_k = next_agent(pos_j)
    hit_j = ((new - pos_j.unsqueeze(2)).abs().sum(dim=-1) < 0.5).float()
    hit_k = ((new - pos_k.unsqueeze(2)).abs().sum(dim=-1) < 0.5).float()
    blocked = torch.maximum(hit_food, torch.maximum(hit_j, hit_k)).unsqueeze(-1)
    new = torch.where(blocked > 0.5, here + torch.zeros_like(new), new)
    md_new = (new.unsqueeze(3) - safe.unsqueeze(1).unsqueeze(1)).abs().sum(dim=-1)
    di = torch.clamp(md_new - 1.0, min=0.0)                        # [B, N, 6, M]

    li = level.unsqueeze(-1).unsqueeze(-1)                         # [B, N, 1, 1]
    lj = next_agent(li)
    lk = next_agent(lj)
    dj = next_agent(dist.unsqueeze(2))                             # [B, N, 1, M]
    dk = next_agent(dj)
    cj = next_agent(commit.unsqueeze(2))
    ck = next_agent(cj)
    pj = next_agent(p_load.unsqueeze(2))
    pk = next_agent(pj)
    need = flevel.unsqueeze(1).unsqueeze(1)                        # [B, 1, 1, M]

    # ---- value of each action: eaten now, or how close the food is afterwards
    own, rest = coalitions(li, lj, lk, need, di, dj, dk, cj, ck, LOG_NEAR)
    later = DELAY * (1.0 - (1.0 - own) * (1.0 - rest))             # [B, N, 6, M]
    without = eaten_now(torch.zeros_like(li), lj, lk, pj, pk, need)
    with_i = eaten_now(li * adj.unsqueeze(2), lj, lk, pj, pk, need)
    eat = torch.cat([without, without, without, without, without, with_i], dim=2)
    value = (share.unsqueeze(1).unsqueeze(1) * (eat + (1.0 - eat) * later)).sum(dim=-1)

    # ---- spread over the actions is the influence; contrast grows towards the end
    centred = value - value.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(dim=-1) + 1e-8)   # [B, N]
    relative = spread / (spread.amax(dim=1, keepdim=True) + 0.005)
    weights = 0.25 + 0.1 * crowd + relative

    # ---- bias: what is left, discounted by the pace of the best coalition
    one = torch.ones_like(cj)
    own_b, rest_b = coalitions(li, lj, lk, need, dist.unsqueeze(2), dj, dk, one, one, LOG_BIAS)
    near = torch.maximum(own_b, rest_b).squeeze(2).mean(dim=1)     # [B, M]
    bias = BIAS_SCALE * (share * near).sum(dim=1, keepdim=True)
    return weights, bias
