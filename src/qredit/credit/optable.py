"""What a credit graph may do: the exact overloads, each with its arguments. Nothing else is ever looked up or called.

The notation is that of torch's operator schemas, without what a graph must not choose (device, layout, pinned memory,
sparse gradients). An `Operand` is a tensor or a number. A test compares each line with torch's own schema.

Left out on purpose: what reads files or raw memory (`from_file`, `set_`, `resize_`, `as_strided`, `empty*`), randomness
(`rand*`, `dropout`, `bernoulli`), what leaves the tensor world or has a size that depends on the data (`item`,
`_local_scalar_dense`, `nonzero`, `unique`, boolean indexing), anything in place, and every custom namespace.
"""

from __future__ import annotations

TABLE = """
# one number in, one number out
abs(Tensor self) -> Tensor
acos(Tensor self) -> Tensor
asin(Tensor self) -> Tensor
atan(Tensor self) -> Tensor
bitwise_not(Tensor self) -> Tensor
ceil(Tensor self) -> Tensor
cos(Tensor self) -> Tensor
elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor
erf(Tensor self) -> Tensor
exp(Tensor self) -> Tensor
exp2(Tensor self) -> Tensor
expm1(Tensor self) -> Tensor
floor(Tensor self) -> Tensor
gelu(Tensor self, *, str approximate="none") -> Tensor
hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor
isinf(Tensor self) -> Tensor
isnan(Tensor self) -> Tensor
leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor
log(Tensor self) -> Tensor
log1p(Tensor self) -> Tensor
log10(Tensor self) -> Tensor
log2(Tensor self) -> Tensor
logical_not(Tensor self) -> Tensor
nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor
neg(Tensor self) -> Tensor
reciprocal(Tensor self) -> Tensor
relu(Tensor self) -> Tensor
round(Tensor self) -> Tensor
round.decimals(Tensor self, *, int decimals) -> Tensor
rsqrt(Tensor self) -> Tensor
sigmoid(Tensor self) -> Tensor
sign(Tensor self) -> Tensor
silu(Tensor self) -> Tensor
sin(Tensor self) -> Tensor
softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor
sqrt(Tensor self) -> Tensor
square(Tensor self) -> Tensor
tan(Tensor self) -> Tensor
tanh(Tensor self) -> Tensor
trunc(Tensor self) -> Tensor

# two numbers in, one number out
add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor
add.Tensor(Tensor self, Operand other, *, Scalar alpha=1) -> Tensor
atan2(Tensor self, Tensor other) -> Tensor
copysign.Tensor(Tensor self, Tensor other) -> Tensor
div.Scalar(Tensor self, Scalar other) -> Tensor
div.Tensor(Tensor self, Operand other) -> Tensor
div.Tensor_mode(Tensor self, Operand other, *, str? rounding_mode) -> Tensor
floor_divide(Tensor self, Operand other) -> Tensor
fmax(Tensor self, Tensor other) -> Tensor
fmin(Tensor self, Tensor other) -> Tensor
fmod.Scalar(Tensor self, Scalar other) -> Tensor
hypot(Tensor self, Tensor other) -> Tensor
maximum(Tensor self, Tensor other) -> Tensor
minimum(Tensor self, Tensor other) -> Tensor
mul.Scalar(Tensor self, Scalar other) -> Tensor
mul.Tensor(Tensor self, Operand other) -> Tensor
pow.Scalar(Scalar self, Tensor exponent) -> Tensor
pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor
pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor
remainder.Scalar(Tensor self, Scalar other) -> Tensor
remainder.Tensor(Tensor self, Operand other) -> Tensor
rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor
sub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor
sub.Tensor(Tensor self, Operand other, *, Scalar alpha=1) -> Tensor

# comparison, logic, choice
bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor
bitwise_or.Tensor(Tensor self, Tensor other) -> Tensor
bitwise_xor.Tensor(Tensor self, Tensor other) -> Tensor
clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor
clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor
clamp_max(Tensor self, Scalar max) -> Tensor
clamp_max.Tensor(Tensor self, Tensor max) -> Tensor
clamp_min(Tensor self, Scalar min) -> Tensor
clamp_min.Tensor(Tensor self, Tensor min) -> Tensor
eq.Scalar(Tensor self, Scalar other) -> Tensor
eq.Tensor(Tensor self, Tensor other) -> Tensor
ge.Scalar(Tensor self, Scalar other) -> Tensor
ge.Tensor(Tensor self, Tensor other) -> Tensor
gt.Scalar(Tensor self, Scalar other) -> Tensor
gt.Tensor(Tensor self, Tensor other) -> Tensor
le.Scalar(Tensor self, Scalar other) -> Tensor
le.Tensor(Tensor self, Tensor other) -> Tensor
logical_and(Tensor self, Tensor other) -> Tensor
logical_or(Tensor self, Tensor other) -> Tensor
logical_xor(Tensor self, Tensor other) -> Tensor
lt.Scalar(Tensor self, Scalar other) -> Tensor
lt.Tensor(Tensor self, Tensor other) -> Tensor
masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor
masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor
ne.Scalar(Tensor self, Scalar other) -> Tensor
ne.Tensor(Tensor self, Tensor other) -> Tensor
where.Scalar(Tensor condition, Scalar self, Scalar other) -> Tensor
where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> Tensor
where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor
where.self(Tensor condition, Tensor self, Tensor other) -> Tensor

# reductions, scans, order
all(Tensor self) -> Tensor
all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor
amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor
amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor
any(Tensor self) -> Tensor
any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor
argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor
argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor
count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor
cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor
linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor
logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor
max(Tensor self) -> Tensor
max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
mean(Tensor self, *, ScalarType? dtype=None) -> Tensor
mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
min(Tensor self) -> Tensor
min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)
prod(Tensor self, *, ScalarType? dtype=None) -> Tensor
prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor
sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)
sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)
std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor
sum(Tensor self, *, ScalarType? dtype=None) -> Tensor
sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor
topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)
var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor

# products and distances
bmm(Tensor self, Tensor mat2) -> Tensor
cdist(Tensor x1, Tensor x2, float p=2.) -> Tensor
mm(Tensor self, Tensor mat2) -> Tensor
mv(Tensor self, Tensor vec) -> Tensor

# shape
_unsafe_view(Tensor self, SymInt[] size) -> Tensor
alias(Tensor self) -> Tensor
cat(Tensor[] tensors, int dim=0) -> Tensor
clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor
constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor
detach(Tensor self) -> Tensor
diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor
expand(Tensor self, SymInt[] size) -> Tensor
flip(Tensor self, int[] dims) -> Tensor
permute(Tensor self, int[] dims) -> Tensor
repeat(Tensor self, SymInt[] repeats) -> Tensor
roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor
select.int(Tensor self, int dim, SymInt index) -> Tensor
slice.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor
split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]
split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]
squeeze(Tensor self) -> Tensor
squeeze.dim(Tensor self, int dim) -> Tensor
squeeze.dims(Tensor self, int[] dim) -> Tensor
stack(Tensor[] tensors, int dim=0) -> Tensor
t(Tensor self) -> Tensor
transpose.int(Tensor self, int dim0, int dim1) -> Tensor
tril(Tensor self, SymInt diagonal=0) -> Tensor
triu(Tensor self, SymInt diagonal=0) -> Tensor
unbind.int(Tensor self, int dim=0) -> Tensor[]
unsqueeze(Tensor self, int dim) -> Tensor
view(Tensor self, SymInt[] size) -> Tensor

# reading and writing at indices
embedding(Tensor weight, Tensor indices) -> Tensor
fill.Scalar(Tensor self, Scalar value) -> Tensor
fill.Tensor(Tensor self, Tensor value) -> Tensor
gather(Tensor self, int dim, Tensor index) -> Tensor
index.Tensor(Tensor self, Tensor?[] indices) -> Tensor
index_put(Tensor self, Tensor?[] indices, Tensor values) -> Tensor
index_select(Tensor self, int dim, Tensor index) -> Tensor
scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor
scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor
scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor
select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor
slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor

# making and converting
_to_copy(Tensor self, *, ScalarType? dtype=None) -> Tensor
arange(Scalar end, *, ScalarType? dtype=None) -> Tensor
arange.start(Scalar start, Scalar end, *, ScalarType? dtype=None) -> Tensor
arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None) -> Tensor
eye(SymInt n, *, ScalarType? dtype=None) -> Tensor
full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None) -> Tensor
full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None) -> Tensor
linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None) -> Tensor
new_full(Tensor self, SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None) -> Tensor
new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None) -> Tensor
new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None) -> Tensor
ones(SymInt[] size, *, ScalarType? dtype=None) -> Tensor
ones_like(Tensor self, *, ScalarType? dtype=None) -> Tensor
scalar_tensor(Scalar s, *, ScalarType? dtype=None) -> Tensor
sym_size.int(Tensor self, int dim) -> SymInt
zeros(SymInt[] size, *, ScalarType? dtype=None) -> Tensor
zeros_like(Tensor self, *, ScalarType? dtype=None) -> Tensor
"""

FACTORIES = frozenset(
    f"aten.{name}"
    for name in (
        "arange.default",
        "arange.start",
        "arange.start_step",
        "eye.default",
        "full.default",
        "linspace.default",
        "ones.default",
        "scalar_tensor.default",
        "zeros.default",
    )
)
"""Ops that make a tensor out of nothing: they get the device of the state, which no graph stores."""
