"""Operators that treat each channel by itself, and reductions over other dimensions."""

from typing import Any

from torch import Tensor

from growsearch.surgery.labels import Bond, Labels, LabelTrace
from growsearch.surgery.operators import Call, normal, rule, tensors_among

_UNARY = """_conj _conj_physical _standard_gamma _to_copy abs acos acosh alias angle asin asinh atan atanh bernoulli
binomial bitwise_not cauchy ceil celu clamp clamp_max clamp_min clone conj_physical contiguous cos cosh deg2rad detach
digamma elu empty_like erf erfc erfinv exp exp2 expm1 exponential fake_quantize_per_tensor_affine_cachemask fill floor
frac frexp full_like gelu geometric hardshrink hardsigmoid hardswish hardtanh i0 isfinite isinf isnan isneginf
isposinf leaky_relu lgamma lift lift_fresh lift_fresh_copy log log10 log1p log2 log_normal log_sigmoid_forward
logical_not logit mish mvlgamma nan_to_num native_dropout neg normal ones_like poisson polygamma rad2deg rand_like
randint_like randn_like random reciprocal relu relu6 round rrelu_with_noise rsqrt selu sgn sigmoid sign signbit silu
sin sinc sinh softplus softshrink sqrt square tan tanh threshold trunc uniform zero zeros_like"""
_MANY = """add addcdiv addcmul atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor complex
copy copysign div eq floor_divide fmax fmin fmod gcd ge gt heaviside hypot igamma igammac lcm ldexp le lerp logaddexp
logaddexp2 logical_and logical_or logical_xor lt masked_fill maximum minimum mul ne nextafter polar pow remainder rsub
sub true_divide where xlogy _prelu_kernel"""
_SPECIAL = """airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 chebyshev_polynomial_t chebyshev_polynomial_u
chebyshev_polynomial_v chebyshev_polynomial_w entr erfcx hermite_polynomial_h hermite_polynomial_he i0e i1 i1e
laguerre_polynomial_l legendre_polynomial_p log_ndtr modified_bessel_i0 modified_bessel_i1 modified_bessel_k0
modified_bessel_k1 ndtri scaled_modified_bessel_k0 scaled_modified_bessel_k1 shifted_chebyshev_polynomial_t
shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w spherical_bessel_j0
xlog1py zeta"""
_GRADIENTS = """elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid logit mish sigmoid silu
softplus softshrink tanh threshold"""
_POINTWISE = [
    *(_UNARY + " " + _MANY).split(),
    *[f"special_{name}" for name in _SPECIAL.split()],
    *[f"{name}_backward" for name in _GRADIENTS.split()],
]


@rule(*_POINTWISE, *[f"{name}_" for name in _POINTWISE])
def pointwise(trace: LabelTrace, call: Call) -> None:
    """Entries that meet are the same channel; a single entry spread over many must stay single."""
    out = call.out[0] if isinstance(call.out, (tuple, list)) else call.out
    tensors = call.inputs
    alone = len(tensors) == 1 and tensors[0].shape == out.shape  # as nearly always
    labels = list(trace.get(tensors[0])) if alone else []
    for dim in () if alone else range(-out.dim(), 0):
        meet = [t for t in tensors if t.dim() >= -dim and not _is_one_value(call, t, dim)]
        for tensor in meet:
            if tensor.shape[dim] != out.shape[dim]:
                trace.freeze(trace.get(tensor)[dim], "a single channel spread over many")
        labels.append(trace.join(*[trace.get(t)[dim] for t in meet if t.shape[dim] == out.shape[dim]]))
    same = call.name in ("detach", "alias", "lift_fresh", "clone", "contiguous", "_to_copy")
    for tensor in () if same else tensors:
        for dim in range(tensor.dim()) if trace.origin(tensor) is not None else ():
            trace.play(tensor, dim, "scale")
    for each in tensors_among(call.out):
        if each.shape == out.shape:
            trace.put(each, tuple(labels))
    if same:
        trace.pass_origin(tensors[0], out, range(out.dim()))


def _is_one_value(call: Call, tensor: Tensor, dim: int) -> bool:
    """Whether one value is written into all entries of a dimension, as ``x[:, 0] = 1.0`` does."""
    return call.name == "copy_" and tensor is call.args[1] and tensor.stride(dim) == 0


@rule("bucketize", "searchsorted", "isin")
def compared_with_many(trace: LabelTrace, call: Call) -> None:
    """Each entry is looked up among sorted ones, which stay as many; or those of its own row."""
    x = call.get("self") if isinstance(call.get("self"), Tensor) else call.get("elements")
    others = [each for each in call.inputs if each is not x]
    if not isinstance(x, Tensor) or not others:
        trace.freeze_all(call.inputs, f"{call.name} of channels")
        return
    labels = list(trace.get(x))
    rows = call.name == "searchsorted" and others[0].dim() > 1
    for other in others:
        for dim, vector in enumerate(trace.get(other)):
            if rows and dim < other.dim() - 1:
                labels[dim] = trace.join(labels[dim], vector)
            else:
                trace.freeze(vector, f"{call.name} of channels")
    trace.put(call.out, tuple(labels))


@rule("_softmax", "_log_softmax", "_safe_softmax", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort")
def along_a_dimension(trace: LabelTrace, call: Call) -> None:
    """Keeps its shape but mixes the entries of one dimension, or brings them in another order."""
    labels = trace.get(call["self"])
    bond = Bond.CUT if call.name.endswith("softmax") else Bond.ORDERED
    for dim in normal(call["dim"], len(labels)):
        trace.freeze(labels[dim], f"{call.name.strip('_')} over channels", bond)
        if call["self"].shape[dim] == 1:
            trace.leave_alone(trace.scores.get(id(call["self"]), []))
    for out in tensors_among(call.out):
        trace.put(out, labels)


@rule("topk", "multinomial")
def largest(trace: LabelTrace, call: Call) -> None:
    """Some entries of one dimension, as many as the code says; all others go through."""
    topk = call.name == "topk"
    bond = Bond.CUT if topk else Bond.FIXED
    labels = _without(trace, call["self"], call["dim"] if topk else -1, f"{call.name} over channels", bond)
    for out in tensors_among(call.out):
        trace.put(out, labels)


def _without(trace: LabelTrace, x: Tensor, dims: Any, reason: str, bond: Bond = Bond.FIXED) -> Labels:
    """The labels of a tensor but for those of some dimensions, whose entries become others."""
    labels = list(trace.get(x))
    for dim in normal(dims, len(labels)):
        trace.freeze(labels[dim], reason, bond)
        labels[dim] = None
    return tuple(labels)


_EVEN = {"mean", "amax", "amin", "aminmax", "max", "min", "any", "all"}
"""Reductions that give the same if every entry comes twice."""


_REDUCTIONS = """all amax amin aminmax any argmax argmin count_nonzero kthvalue linalg_vector_norm logsumexp max mean
median min mode nanmedian nansum norm prod std std_mean sum var var_mean"""


@rule(*_REDUCTIONS.split())
def reduction(trace: LabelTrace, call: Call) -> None:
    """Passes the dimensions that are left."""
    if isinstance(call.get("other"), Tensor):
        pointwise(trace, call)
        return
    labels = trace.get(call["self"])
    for dim in range(len(labels)) if trace.origin(call["self"]) is not None else ():
        trace.play(call["self"], dim, "scale")
    reduced = normal(call.get("dim"), len(labels))
    for dim in reduced:
        trace.freeze(labels[dim], f"{call.name} over channels", _bond(call))
    keep = bool(call.get("keepdim"))
    left = tuple(None if d in reduced else v for d, v in enumerate(labels) if keep or d not in reduced)
    for out in tensors_among(call.out):
        trace.put(out, left)


def _bond(call: Call) -> Bond:
    if call.name in ("argmax", "argmin"):
        return Bond.FIXED
    biased = call.get("correction") == 0 or call.get("unbiased") is False
    return Bond.EVEN if call.name in _EVEN or biased else Bond.CUT


@rule("empty", "new_empty", "new_full", "new_ones", "new_zeros", "is_same_size", "_has_same_storage_numel")
def constant(trace: LabelTrace, call: Call) -> None:
    """Takes only type and device from its input, if it has one; a size written into it is fixed."""


_WINDOWS = """avg_pool{0}d max_pool{0}d _adaptive_avg_pool{0}d adaptive_avg_pool{0}d adaptive_max_pool{0}d
max_pool{0}d_with_indices upsample_nearest{0}d _upsample_nearest_exact{0}d upsample_linear{0}d upsample_bilinear{0}d
upsample_trilinear{0}d upsample_bicubic{0}d _upsample_bilinear{0}d_aa _upsample_bicubic{0}d_aa
reflection_pad{0}d replication_pad{0}d"""


def _window(spatial: int) -> None:
    @rule(*_WINDOWS.format(spatial).split())
    def window(trace: LabelTrace, call: Call) -> None:
        """Works on the last dimensions of each channel."""
        labels, (out, *others) = trace.get(call.inputs[0]), tensors_among(call.out)
        left = [trace.unpadded(v, n) for v, n in zip(labels[-spatial:], out.shape[-spatial:], strict=True)]
        for vector, inside in zip(labels[-spatial:], left, strict=True):
            bond = Bond.FIXED if inside is None else Bond.ORDERED  # local response norm slides over padded channels
            trace.freeze(vector if inside is None else inside, f"{call.name} over channels", bond)
        for each in (out, *others):
            trace.put(each, (*labels[:-spatial], *left))


for _spatial in (1, 2, 3):
    _window(_spatial)


@rule("fractional_max_pool2d", "fractional_max_pool3d")
def drawn_windows(trace: LabelTrace, call: Call) -> None:
    """Windows at places that are drawn for each channel."""
    labels, spatial = list(trace.get(call["self"])), int(call.name[-2])
    for vector in labels[-spatial:]:
        trace.freeze(vector, f"{call.name} over channels")
    at = len(labels) - spatial - 1
    labels[at] = trace.join(*(each for each in (labels[at], trace.get(call["random_samples"])[1]) if each is not None))
    for out in tensors_among(call.out):
        trace.put(out, (*labels[:-spatial], *[None] * spatial))


@rule("segment_reduce")
def segments(trace: LabelTrace, call: Call) -> None:
    """Runs of entries of one dimension are reduced, each to one."""
    trace.put(call.out, _without(trace, call["data"], call["axis"], "segments of channels"))


@rule("renorm", "renorm_")
def bounded(trace: LabelTrace, call: Call) -> None:
    """Bounds the length over all dimensions but one."""
    labels = trace.get(call["self"])
    (kept,) = normal(call["dim"], len(labels))
    for dim, vector in enumerate(labels):
        if dim != kept:
            trace.freeze(vector, "length over channels", Bond.CUT)
        trace.play(call["self"], dim, "scale")
    trace.put(call.out, labels)


@rule("dist")
def distance(trace: LabelTrace, call: Call) -> None:
    """One number: the length of what two tensors differ by."""
    for dim in range(-max(each.dim() for each in call.inputs), 0):
        for tensor in (each for each in call.inputs if each.dim() >= -dim):
            trace.play(tensor, tensor.dim() + dim, "scale")
        vectors = [trace.get(each)[dim] for each in call.inputs if each.dim() >= -dim]
        trace.freeze(trace.join(*vectors), "distance over channels", Bond.CUT)


@rule("max_unpool2d", "max_unpool3d")
def unpool(trace: LabelTrace, call: Call) -> None:
    """Each channel's entries go back to where a pooling found them."""
    spatial = int(call.name[-2])
    labels, found = trace.get(call["self"]), trace.get(call["indices"])
    for vector in labels[-spatial:]:
        trace.freeze(vector, f"{call.name} over channels")
    kept = zip(labels[:-spatial], found[:-spatial], strict=True)
    trace.put(call.out, (*(trace.join(*each) for each in kept), *[None] * spatial))


@rule("unfold")
def windows(trace: LabelTrace, call: Call) -> None:
    """Sliding windows over one dimension, as a new last one."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dimension"], len(labels))
    trace.freeze(labels[along], "windows over channels")
    labels[along] = None
    trace.put(call.out, (*labels, None))


@rule("grid_sampler_2d", "grid_sampler_3d")
def sampled(trace: LabelTrace, call: Call) -> None:
    """Every channel is read at the same places."""
    labels = trace.get(call["input"])
    for vector in (*labels[2:], *trace.get(call["grid"])):
        trace.freeze(vector, "places of a grid")
    trace.put(call.out, (*labels[:2], *[None] * (len(labels) - 2)))


@rule("_fft_r2c", "_fft_c2r", "_fft_c2c")
def spectrum(trace: LabelTrace, call: Call) -> None:
    """Mixes the entries of some dimensions, one of which may change its size; each other entry by itself."""
    trace.put(call.out, _without(trace, call["self"], call["dim"], "Fourier transform over channels"))


@rule("view_as_real", "view_as_complex")
def parts_of_complex(trace: LabelTrace, call: Call) -> None:
    """Real and imaginary parts lie in a last dimension of their own."""
    labels = trace.get(call["self"])
    if call.name == "view_as_real":
        trace.put(call.out, (*labels, None))
    else:
        trace.freeze(labels[-1], "real and imaginary parts")
        trace.put(call.out, labels[:-1])


@rule("affine_grid_generator")
def grid(trace: LabelTrace, call: Call) -> None:
    """Coordinates of an image from the entries of a matrix."""
    trace.freeze_all([call["theta"]], "matrix of a grid")


@rule("torchvision.roi_align", "torchvision.roi_pool")
def regions(trace: LabelTrace, call: Call) -> None:
    """Windows of each channel, in a batch of their own."""
    labels = trace.get(call["input"])
    for vector in labels[2:]:
        trace.freeze(vector, f"{call.name} over channels")
    trace.put(tensors_among(call.out)[0], (None, labels[1], None, None))
