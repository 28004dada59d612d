import torch
import torch.nn.functional as F
import math

DIRS = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
ACTIONS = ((0.0, 0.0),) + DIRS + ((0.0, 0.0),)
RATE = 0.07          # effective loss of value per step of delay
FAR = 10.0           # a settled agent does not change its side of the food
CLASH = 20.0         # two agents cannot use the same side of a food
SIGHT = 2.5
BIAS_SCALE = 0.7


def shift(x, dr, dc):
    return torch.stack([x[..., 0] + dr, x[..., 1] + dc], dim=-1)


def later(x, y):
    # arrival of the last of two agents, with a small share of the first one
    return 0.9 * torch.maximum(x, y) + 0.1 * torch.minimum(x, y)


def credit(state):
    """An agent earns credit where its action in this step changes how soon BOTH
    agents stand on different sides of one food and load it: the late agent, on
    whom the other waits, gets most, an agent with slack gets little, and two
    agents that are both beside the food are both decisive."""
    ap = state["agent_position"]                       # [B, N, 2]
    al = state["agent_level"]                          # [B, N]
    fl = state["food_level"]                           # [B, M]
    last = state["last_action"]                        # [B, N]
    raw = state["food_position"]                       # [B, M, 2]
    n_food = fl.shape[1]

    alive = (fl > 0.5).to(ap.dtype) * (raw[..., 0] > -0.5).to(ap.dtype)
    # an eaten food is put on a dummy cell; everything about it is masked below
    fp = raw * alive[..., None] + 3.0 * (1.0 - alive[..., None])

    # side cells of each food, and which pairs of them are the same cell
    cells = torch.stack([shift(fp, d[0], d[1]) for d in DIRS], dim=2)     # [B, M, 4, 2]
    same = (cells[:, :, :, None, :] - cells[:, :, None, :, :]).abs().sum(-1)
    clash = CLASH * (same < 0.5).to(ap.dtype)                             # [B, M, 4, 4]

    # present distances to the side cells
    d0 = (ap[:, :, None, None, :] - cells[:, None]).abs().sum(-1)         # [B, N, M, 4]
    near = d0.amin(dim=-1)                                                # [B, N, M]
    settled = (near < 0.5).to(ap.dtype) * alive[:, None, :]
    fixed = d0 + FAR * settled[..., None] * (d0 > 0.5).to(ap.dtype)
    ready = settled[:, 0] * settled[:, 1]                                 # [B, M]

    # cell that each agent would be in after each of its six actions
    cand = torch.stack([shift(ap, a[0], a[1]) for a in ACTIONS], dim=2)   # [B, N, 6, 2]
    cand = torch.clamp(cand, 0.0, 7.0)
    gap_food = (cand[:, :, :, None, :] - fp[:, None, None, :, :]).abs().sum(-1)
    hit_food = ((gap_food < 0.5).to(ap.dtype) * alive[:, None, None, :]).amax(dim=-1)
    partner = ap.flip([1])
    gap_partner = (cand - partner[:, :, None, :]).abs().sum(-1)           # [B, N, 6]
    partner_waits = settled.amax(dim=-1).flip([1])                        # [B, N]
    hit_partner = (gap_partner < 0.5).to(ap.dtype) * partner_waits[:, :, None]
    blocked = torch.maximum(hit_food, hit_partner)[..., None]             # [B, N, 6, 1]
    cand = cand * (1.0 - blocked) + ap[:, :, None, :] * blocked

    # time until both stand on different sides, the partner making its best step
    da = (cand[:, :, :, None, None, :] - cells[:, None, None]).abs().sum(-1)
    dj = torch.clamp(fixed - 1.0, min=0.0).flip([1])                      # [B, N, M, 4]
    pair = later(da[..., :, None], dj[:, :, None, :, None, :])
    pair = pair + clash[:, None, None]                                    # [B, N, 6, M, 4, 4]
    t_next = pair.amin(dim=-1).amin(dim=-1)                               # [B, N, 6, M]
    u = torch.exp(-RATE * (t_next + 1.0))

    # LOAD when both are beside the food: eaten at once if the partner loads too
    loaded = (last > 4.5).to(ap.dtype)                                    # [B, N]
    q = (0.7 + 0.2 * loaded.flip([1]))[:, :, None] * ready[:, None, :]    # [B, N, M]
    u_load = u[:, :, 5] * (1.0 - q) + q
    u = torch.cat([u[:, :, :5], u_load[:, :, None]], dim=2)               # [B, N, 6, M]

    # return to be had by eating this food first and the other one after it
    total = torch.clamp(al.sum(dim=1, keepdim=True) * n_food, min=1.0)
    worth = alive * fl / total                                            # [B, M]
    between = (fp - fp.flip([1])).abs().sum(-1)                           # [B, M]
    ret = alive * (worth + worth.flip([1]) * torch.exp(-RATE * between))

    # what one agent's action changes, per food
    v = u * ret[:, None, None, :]
    dev = v - v.mean(dim=2, keepdim=True)
    var = (dev * dev).mean(dim=2)                                         # [B, N, M]

    # who is needed: the others cannot reach the level of the food without it
    others = al.sum(dim=1, keepdim=True) - al                             # [B, N]
    needed = (others[:, :, None] < fl[:, None, :] - 0.5).to(ap.dtype)

    # which food the pair will probably eat next
    pair0 = later(fixed[:, 0][..., :, None], fixed[:, 1][..., None, :]) + clash
    t0 = pair0.amin(dim=-1).amin(dim=-1)                                  # [B, M]
    cheb = (ap[:, :, None, :] - fp[:, None, :, :]).abs().amax(dim=-1)     # [B, N, M]
    seen = (cheb < SIGHT).to(ap.dtype).sum(dim=1)
    calling = (settled * loaded[:, :, None]).sum(dim=1)
    logits = -0.5 * t0 + 0.5 * seen + 0.5 * calling + 30.0 * (alive - 1.0)
    p = F.softmax(logits, dim=-1) * alive                                 # [B, M]

    influence = (var * needed * p[:, None, :]).sum(dim=-1) + 1e-6         # [B, N]
    share = influence / influence.sum(dim=1, keepdim=True)
    weights = 0.35 + 1.3 * share

    bias = BIAS_SCALE * (p * ret * torch.exp(-RATE * t0)).sum(dim=-1, keepdim=True)
    return weights, bias
