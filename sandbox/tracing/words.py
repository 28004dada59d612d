"""What to write instead of an operation that no credit graph has."""

from __future__ import annotations

from collections.abc import Mapping

_RANDOM = "The function must be deterministic: the same input gives the same result. Remove the randomness."
BATCH = (
    "the code is bound to one batch size: it loops over the batch, or uses `len(x)`, `int(...)` or a fixed number "
    "where the batch size belongs. Use `x.shape[0]` only as a size (`torch.zeros(B, N)`, `view(B, -1)`) and compute "
    "all rows at once; loops over agents are fine."
)
NUMPY = "it leaves torch (numpy or Python numbers). Use the functions of torch on tensors."
_BRANCH = (
    "the program's path depends on values of tensors, which differ from state to state. "
    "Compute both sides and choose with `torch.where(condition, a, b)`, or multiply by a 0/1 mask."
)
_NUMBER = (
    "it turns a tensor into a Python number, so it cannot work for a whole batch. Keep it a tensor, for example "
    "`x.mean(dim=1, keepdim=True)` in place of `x.mean().item()`, or use `gather` or broadcasting."
)
STACK = "it builds a tensor out of tensor values. Use `torch.stack([a, b], dim=-1)` instead of `torch.tensor([a, b])`."
MASK = "The result's size depends on the data. Use `torch.where(mask, a, b)` or multiply by `mask.float()`."
_EMPTY = "Its memory is uninitialised. Use `torch.zeros` or `torch.full`."
_ORDER = "Use `sort`, `topk`, `amax`, `mean(dim)` or `median(dim)`."
_VALUES = "Use `matmul`, `sum`, `mean`, `max`, `softmax`, `torch.where` and arithmetic."

_REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(
        ("nonzero", "nonzero_static", "masked_select", "_unique2", "unique_dim", "unique_consecutive"), MASK
    ),
    **dict.fromkeys(("bincount", "histc", "_histogramdd_bin_edges"), MASK),
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided", "empty_permuted"), _EMPTY),
    **dict.fromkeys(("quantile", "nanquantile", "kthvalue", "mode", "nanmedian", "cummax", "cummin"), _ORDER),
    **dict.fromkeys(("as_strided", "set_", "resize_"), "Use slicing, `reshape` or `permute`."),
}
_RANDOM_WORDS = ("rand", "dropout", "bernoulli", "multinomial", "normal", "uniform", "exponential", "poisson", "gumbel")


def value_remedy(code: str) -> str:
    """Cause and remedy for a line of code that asks for a tensor's value."""
    if code.startswith(("if ", "elif ", "while ", "assert ")):
        return _BRANCH
    if "tolist(" in code:
        return NUMPY
    if "tensor([" in code:
        return STACK
    return _NUMBER if any(call in code for call in ("int(", "float(", ".item(", "range(")) else _BRANCH


def remedy_of(target: str) -> str:
    """Cause and remedy for a recorded operation such as `aten.item.default`."""
    name = target.split(".")[1] if target.count(".") else target
    if any(word in name for word in _RANDOM_WORDS):
        return f"`{name}` is random. {_RANDOM}"
    remedy = _REMEDIES.get(name)
    if remedy is None:
        remedy = "Do not compute with the batch size." if not target.startswith("aten.") else _VALUES
    return f"the operation `{target}` is not available in a credit function. {remedy}"
