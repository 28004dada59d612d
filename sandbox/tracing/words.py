"""What to write instead of an operation that no credit graph has."""

from __future__ import annotations

from collections.abc import Mapping

_RANDOM = "A credit function is deterministic: the same state gives the same weights. Remove the randomness."
_NUMBER = (
    "It turns a tensor into a Python number, so it cannot work for a whole batch. Keep it a tensor, for example "
    "`x.mean(dim=1, keepdim=True)` in place of `x.mean().item()`."
)
MASK = "The result's size depends on the data. Use `torch.where(mask, a, b)` or multiply by `mask.float()`."
_EMPTY = "Its memory is uninitialised. Use `torch.zeros` or `torch.full`."
_ORDER = "Use `sort`, `topk`, `amax`, `mean(dim)` or `median(dim)`."
_VALUES = "Use `matmul`, `sum`, `mean`, `max`, `softmax`, `torch.where` and arithmetic."

_REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(("item", "_local_scalar_dense", "is_nonzero"), _NUMBER),
    **dict.fromkeys(
        ("nonzero", "nonzero_static", "masked_select", "_unique2", "unique_dim", "unique_consecutive"), MASK
    ),
    **dict.fromkeys(("bincount", "histc", "_histogramdd_bin_edges"), MASK),
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided", "empty_permuted"), _EMPTY),
    **dict.fromkeys(("quantile", "nanquantile", "kthvalue", "mode", "nanmedian", "cummax", "cummin"), _ORDER),
    **dict.fromkeys(("as_strided", "set_", "resize_"), "Use slicing, `reshape` or `permute`."),
}
_RANDOM_WORDS = ("rand", "dropout", "bernoulli", "multinomial", "normal", "uniform", "exponential", "poisson", "gumbel")


def remedy_of(target: str) -> str:
    """Cause and remedy for a recorded operation such as `aten.item.default`."""
    name = target.split(".")[1] if target.count(".") else target
    if any(word in name for word in _RANDOM_WORDS):
        return f"`{name}` is random. {_RANDOM}"
    remedy = _REMEDIES.get(name)
    if remedy is None:
        remedy = "Do not compute with the batch size." if not target.startswith("aten.") else _VALUES
    return f"the operation `{target}` is not available in a credit function. {remedy}"
