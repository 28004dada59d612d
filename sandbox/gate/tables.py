"""What the gate lets through, and what it says about the rest: data only, so that the rules read as a list.

The allowed names are those that ordinary tensor code uses; that a name stands here does not mean it can be traced (the
credit graph has an op allowlist of its own), only that it cannot reach files, processes, memory or the interpreter.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILTINS = _names(
    "abs all any bool dict divmod enumerate filter float int isinstance len list map max min pow range reversed round"
    " set slice sorted sum tuple zip frozenset ValueError TypeError AssertionError NotImplemented"
)
"""Builtin names that may be read; the exception names only so that the message is about `raise` or `try`."""

ANNOTATION_BUILTINS = frozenset({"str", "object", "complex", "bytes", "type"})
"""Further builtins that may stand in an annotation."""

TYPING_NAMES = _names("Any Callable Dict Final Iterable List Literal Mapping Optional Sequence Set Tuple Union")
"""What may be imported from `typing`."""

MATH = _names(
    "acos acosh asin asinh atan atan2 ceil comb copysign cos cosh degrees dist e erf exp expm1 fabs factorial floor"
    " fmod fsum gamma hypot inf isclose isfinite isinf isnan log log10 log1p log2 nan pi pow prod radians sin sinh sqrt"
    " tan tanh tau trunc"
)

DTYPES = _names("float float16 float32 float64 half double bfloat16 int int8 int16 int32 int64 long short uint8 bool")

SHARED = _names(
    "abs absolute acos acosh add addcdiv addcmul all allclose amax amin aminmax any arccos arcsin arctan arctan2 argmax"
    " argmin argsort asin asinh atan atan2 atanh baddbmm bmm broadcast_to ceil chunk clamp clamp_max clamp_min clip"
    " clone copysign cos cosh count_nonzero cross cummax cummin cumprod cumsum deg2rad diag diag_embed diagonal diff"
    " dist div divide dot eq equal erf erfc exp exp2 expm1 flatten flip fliplr flipud floor floor_divide fmax fmin fmod"
    " frac gather ge gcd greater greater_equal gt heaviside histc hypot index_add index_copy index_fill index_select"
    " inner isclose isfinite isinf isnan isneginf isposinf isreal kthvalue le lerp less less_equal log log10 log1p log2"
    " log_softmax logaddexp logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lt masked_fill"
    " masked_scatter matmul max maximum mean median min minimum mm moveaxis movedim mul multiply mv nan_to_num nanmean"
    " nanmedian nansum narrow ne neg negative norm not_equal numel outer permute positive pow prod quantile rad2deg"
    " ravel reciprocal relu remainder renorm repeat_interleave reshape roll rot90 round rsqrt scatter scatter_add"
    " scatter_reduce select select_scatter sgn sigmoid sign sin sinc sinh slice_scatter softmax sort split sqrt square"
    " squeeze std sub subtract sum swapaxes swapdims t take_along_dim tan tanh tensor_split tile topk transpose tril"
    " triu true_divide trunc unbind unflatten unsqueeze var view_as_real where xlogy"
)
"""Names that are both a function of `torch` and a method of a tensor."""

TORCH = (
    SHARED
    | DTYPES
    | _names(
        "Tensor arange as_tensor block_diag broadcast_tensors bucketize cartesian_prod cat cdist celu column_stack"
        " combinations concat concatenate cosine_similarity device dsplit dstack dtype einsum eye finfo full full_like"
        " hsplit hstack iinfo inf is_floating_point is_tensor kron linspace logspace meshgrid nan ones ones_like"
        " pairwise_distance pi row_stack searchsorted selu size stack std_mean tensor tensordot tril_indices"
        " triu_indices var_mean vsplit vstack zeros zeros_like Size"
    )
)

FUNCTIONAL = _names(
    "celu cosine_similarity elu gelu glu hardsigmoid hardswish hardtanh layer_norm leaky_relu linear log_softmax"
    " logsigmoid mish normalize one_hot pad pairwise_distance pdist prelu relu relu6 selu sigmoid silu softmax softmin"
    " softplus softshrink softsign tanh tanhshrink threshold"
)

SUBMODULES: dict[str, frozenset[str]] = {
    "torch.nn.functional": FUNCTIONAL,
    "torch.linalg": frozenset({"cross", "diagonal", "matrix_norm", "norm", "vecdot", "vector_norm"}),
    "torch.special": frozenset({"entr", "erf", "exp2", "expit", "expm1", "log1p", "log_softmax", "softmax", "xlogy"}),
}
"""Dotted modules below `torch` and what may be read from each."""

IN_PLACE = _names(
    "add_ clamp_ clamp_max_ clamp_min_ copy_ div_ exp_ fill_ fill_diagonal_ floor_ index_add_ index_fill_ masked_fill_"
    " mul_ neg_ pow_ relu_ scatter_ scatter_add_ sigmoid_ sqrt_ square_ sub_ unsqueeze_ squeeze_ zero_"
)
"""In-place methods that tracing turns into functions; writing into an input is refused later."""

MODULE_TABLES: dict[str, frozenset[str]] = {"torch": TORCH, "math": MATH, "torch.nn": frozenset(), **SUBMODULES}

METHODS = (
    SHARED
    | DTYPES
    | IN_PLACE
    | _names(
        "T mT H shape dtype device ndim size dim ndimension nelement element_size expand expand_as view view_as repeat"
        " contiguous detach to type_as new_zeros new_ones new_full new_tensor reshape_as is_floating_point values"
        " indices eps tiny max min keys items get append extend insert pop index count copy update setdefault"
        " Tensor real smallest_normal"
    )
)
"""Attributes of tensors, lists and dictionaries."""

RANDOM = _names(
    "rand rand_like randint randint_like randn randn_like randperm bernoulli multinomial normal poisson manual_seed"
    " seed dropout dropout1d dropout2d alpha_dropout feature_dropout gumbel_softmax rrelu normal_ uniform_ bernoulli_"
    " exponential_ random_ cauchy_ geometric_ log_normal_ get_rng_state set_rng_state initial_seed random"
)

_GRADIENT = "Remove it: gradients are the trainer's business."
_HOST = "Remove it and keep computing on the tensor, for the whole batch at once."
_SHAPE = "Its result's shape depends on the data; use `torch.where` with a condition or multiply by a 0/1 mask."
_DEVICE = "Remove it; make new tensors with `torch.zeros_like(x)` or `device=x.device`."
_UNINITIALISED = "It leaves memory uninitialised; use `torch.zeros` or `torch.full`."

REMEDIES: dict[str, str] = {
    **dict.fromkeys(("item", "tolist", "numpy", "is_nonzero"), _HOST),
    **dict.fromkeys(("nonzero", "masked_select", "unique", "unique_consecutive", "argwhere"), _SHAPE),
    **dict.fromkeys(("cpu", "cuda", "get_device", "is_cuda", "mps", "xpu", "pin_memory"), _DEVICE),
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided"), _UNINITIALISED),
    **dict.fromkeys(("no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "backward"), _GRADIENT),
    **dict.fromkeys(("requires_grad", "requires_grad_", "grad", "grad_fn", "data", "autograd"), _GRADIENT),
    **dict.fromkeys(("from_numpy", "asarray"), "Use `torch.tensor` with literal numbers."),
    **dict.fromkeys(("vmap", "func"), "Write it with broadcasting: `unsqueeze` a dimension and reduce over it."),
    **dict.fromkeys(("jit", "compile", "compiler"), "Remove it; the function is made fast after it is accepted."),
    "as_strided": "Use slicing or `reshape`.",
    "resize_": "Use `reshape`.",
    "format": "Remove it; no text is needed.",
    "join": "Remove it; no text is needed.",
    "Parameter": "The function has no parameters to train; use literal numbers.",
    "nn": "Only `torch.nn.functional` is available; write the computation with tensor operations.",
    "FloatTensor": "Use `torch.tensor(..., dtype=torch.float32)`.",
    "LongTensor": "Use `torch.tensor(..., dtype=torch.int64)`.",
}
"""Attributes that ordinary code uses and that cannot be supported, with what to write in their place."""

NAME_REMEDIES: dict[str, str] = {
    "print": "Remove it; nobody reads the output.",
    "str": "Remove it; no text is needed.",
    "repr": "Remove it; no text is needed.",
    "type": "Use `isinstance`, or remove the test: the state's fields are float tensors.",
    "hasattr": "Remove the test: the state's fields are float tensors.",
    "callable": "Remove the test.",
    "super": "Write a plain function without a class.",
    "np": "Use the functions of `torch`.",
    "numpy": "Use the functions of `torch`.",
    "nn": "Use `F` (`import torch.nn.functional as F`).",
    "self": "Write a plain function `def credit(state):` without a class.",
    "Tensor": "Write `torch.Tensor`.",
    "F": "Add `import torch.nn.functional as F` at the top.",
    "torch": "Add `import torch` at the top.",
    "math": "Add `import math` at the top.",
    **dict.fromkeys(TYPING_NAMES, "Import it: `from typing import ...`, or use `dict`, `list`, `tuple`."),
}

KEYWORD_REMEDIES: dict[str, str] = {
    "out": "Assign the result instead.",
    "requires_grad": "Remove it: gradients are the trainer's business.",
    "generator": "The function must be deterministic; remove the randomness.",
    "pin_memory": "Remove it.",
}
"""Keyword arguments that are refused wherever they stand."""

FORBIDDEN_NAMES = _names(
    "exec eval compile open __import__ globals locals breakpoint getattr setattr delattr exit quit memoryview"
)
"""Builtins that reach the interpreter; reading the name is enough to be recorded."""

FORBIDDEN_CALLS = frozenset({"vars", "dir", "input", "help"})
"""Builtins that are an ordinary variable name when merely read, and introspection when called."""

FORBIDDEN_MODULES = _names(
    "os sys subprocess socket ctypes cffi builtins importlib shutil pathlib io pickle marshal shelve inspect gc types"
    " code codeop signal threading multiprocessing asyncio concurrent urllib requests http httpx ftplib smtplib ssl"
    " tempfile pty posix nt fcntl mmap resource atexit platform site runpy pkgutil zipimport zipfile tarfile glob ast"
    " dis traceback linecache webbrowser selectors sched _thread _io _posixsubprocess imp cloudpickle dill joblib"
    " faulthandler weakref operator psutil getpass pwd grp sqlite3 logging tokenize bdb pdb textwrap"
)
"""Modules that reach out of the tensor world; also as an attribute, since `torch.os` is one."""

FORBIDDEN_ATTRIBUTES = FORBIDDEN_MODULES | _names(
    # files, code and packages
    "load save hub ops classes utils package distributed library serialization from_file cpp_extension cpp export fx"
    " overrides load_library load_inline load_state_dict load_state_dict_from_url load_url import_module tofile"
    " fromfile dump dumps loads memmap hooks"
    # memory behind tensors
    " storage untyped_storage typed_storage UntypedStorage TypedStorage data_ptr set_ frombuffer from_dlpack to_dlpack"
    " share_memory_ is_shared storage_offset from_blob FloatStorage ByteStorage LongStorage DoubleStorage IntStorage"
    # code that runs later
    " register_hook register_post_accumulate_grad_hook register_forward_hook Function apply_ map_ map2_"
    " set_default_tensor_type"
    # the interpreter behind objects
    " mro gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_origin ag_frame ag_code f_back f_globals f_builtins"
    " f_locals f_code f_trace tb_frame tb_next co_code co_consts co_names func_globals func_code im_func im_class"
    " format_map system popen spawn fork execv execve environ getenv modules stdout stderr stdin"
)

FORBIDDEN_PREFIXES = ("torch.autograd.Function", "torch.autograd.function", "torch.cuda.memory", "torch.nn.modules")
"""Dotted names that are forbidden although their first attribute is ordinary."""

BENIGN_DUNDERS = frozenset({"__name__", "__main__", "__init__", "__all__", "__doc__", "__debug__", "__version__"})
"""Names with two underscores that ordinary scripts contain: unsupported, no attack."""

STATEMENTS: dict[str, tuple[str, str]] = {
    "ClassDef": ("a class", "Write a plain function `def credit(state):`; keep helpers as functions."),
    "With": ("`with`", "Remove it; `torch.no_grad()` is not needed."),
    "Try": ("`try`", "Guard the computation instead, such as `x / y.clamp(min=1e-6)`."),
    "TryStar": ("`try`", "Guard the computation instead, such as `x / y.clamp(min=1e-6)`."),
    "While": ("`while`", "Use `for ... in range(...)` over agents or entities, or a tensor operation."),
    "JoinedStr": ("an f-string", "Remove it, or use a plain string; no text is needed."),
    "TemplateStr": ("a template string", "Remove it, or use a plain string; no text is needed."),
    "Raise": ("`raise`", "Remove it; shapes are checked before the function is called."),
    "Global": ("`global`", "Pass the value as an argument."),
    "Nonlocal": ("`nonlocal`", "Pass the value as an argument and return the result."),
    "AsyncFunctionDef": ("`async`", "Write a plain function."),
    "AsyncFor": ("`async`", "Use a plain `for`."),
    "AsyncWith": ("`async`", "Remove it."),
    "Await": ("`await`", "Call a plain function."),
    "Yield": ("`yield`", "Collect the values in a list and `torch.stack` them."),
    "YieldFrom": ("`yield from`", "Collect the values in a list and `torch.stack` them."),
    "Match": ("`match`", "Use `torch.where` on tensors, or `if` on Python numbers."),
    "Delete": ("`del`", "Remove it."),
    "NamedExpr": ("`:=`", "Assign in a statement of its own."),
    "TypeAlias": ("a `type` statement", "Remove it."),
}
"""Syntax that is refused: what to call it, and what to write in its place."""
