"""Operators of losses, and of gradients that a network takes of what it computed itself."""

from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.operators import Call, normal, rule, tensors_among
from growsearch.surgery.rules_layers import contract
from growsearch.surgery.rules_pointwise import pointwise

_SUM = 2
"""How torch numbers a reduction by a sum; 0 is none, and 1 a mean."""
_LOSSES = """mse_loss smooth_l1_loss huber_loss soft_margin_loss binary_cross_entropy
binary_cross_entropy_with_logits"""


@rule(*_LOSSES.split())
def loss(trace: LabelTrace, call: Call) -> None:
    """Compared entry by entry, and then averaged or summed up over all of them, or not."""
    if not call["reduction"]:
        pointwise(trace, call)
        return
    bond = Bond.CUT if call["reduction"] == _SUM else Bond.EVEN
    tensors = call.inputs
    for dim in range(-tensors[0].dim(), 0):
        meet = [trace.get(each)[dim] for each in tensors if each.dim() >= -dim]
        trace.freeze(trace.join(*meet), f"{call.name} over channels", bond)
    for tensor in tensors:
        for dim in range(tensor.dim()):
            trace.play(tensor, dim, "scale")


@rule("nll_loss_forward", "nll_loss2d_forward")
def likelihood(trace: LabelTrace, call: Call) -> None:
    """Picks an entry of the classes by its number."""
    labels = trace.get(call["self"])
    for vector in labels:
        trace.freeze(vector, "classes of a loss")
    if not call["reduction"]:
        trace.put(call.out[0], (*labels[:1], *labels[2:])[-call.out[0].dim() :])


@rule("convolution_backward")
def convolution_backward(trace: LabelTrace, call: Call) -> None:
    """The gradient of what a convolution reads: a sum over what it writes. That of its weight is unknown."""
    slope, x, weight = call["grad_output"], call["input"], call["weight"]
    if call["groups"] != 1 or call["transposed"] or any(call["output_mask"][1:]):
        trace.freeze_all(call.inputs, "gradient of a convolution in groups, or of its weight")
        return
    contract(trace, slope, 1, weight, 0)
    trace.play(weight, 1, "producer")
    channels = trace.join(trace.get(weight)[1], trace.get(x)[1])
    trace.put(call.out[0], (trace.get(x)[0], channels, *[None] * (x.dim() - 2)))


@rule("_softmax_backward_data", "_log_softmax_backward_data")
def softmax_backward(trace: LabelTrace, call: Call) -> None:
    """As the softmax, with the gradient of it beside."""
    labels = [trace.join(*dims) for dims in zip(trace.get(call["grad_output"]), trace.get(call["output"]), strict=True)]
    for dim in normal(call["dim"], len(labels)):
        trace.freeze(labels[dim], "gradient of a softmax over channels", Bond.CUT)
    trace.put(call.out, tuple(labels))


_POOLED = """avg_pool{0}d_backward _adaptive_avg_pool{0}d_backward max_pool{0}d_with_indices_backward
adaptive_max_pool{0}d_backward reflection_pad{0}d_backward replication_pad{0}d_backward"""
_ENLARGED = """upsample_nearest{0}d_backward _upsample_nearest_exact{0}d_backward upsample_linear{0}d_backward
upsample_bilinear{0}d_backward upsample_trilinear{0}d_backward upsample_bicubic{0}d_backward"""


def _window_backward(spatial: int) -> None:
    @rule(*(_POOLED + " " + _ENLARGED).format(spatial).split())
    def window_backward(trace: LabelTrace, call: Call) -> None:
        """Spreads each channel's gradient over its places, or sums it up."""
        labels = trace.get(call["grad_output"])
        for vector in labels[-spatial:]:
            trace.freeze(vector, f"{call.name} over channels")
        trace.put(call.out, (*labels[:-spatial], *[None] * spatial))


for _spatial in (1, 2, 3):
    _window_backward(_spatial)


@rule("select_backward", "slice_backward")
def put_back(trace: LabelTrace, call: Call) -> None:
    """The gradient of a part, among zeros."""
    labels, out = list(trace.get(call["grad_output"])), call.out
    (along,) = normal(call["dim"], out.dim())
    if call.name == "slice_backward":
        trace.freeze(labels.pop(along), "gradient of a slice")
    labels.insert(along, None)
    trace.put(out, tuple(labels))


@rule("native_layer_norm_backward", "native_group_norm_backward", "native_batch_norm_backward")
def norm_backward(trace: LabelTrace, call: Call) -> None:
    """The gradient of what a norm reads; that of its weight is unknown."""
    if any(call["output_mask"][1:]):
        trace.freeze_all(call.inputs, "gradient of a norm's weight")
        return
    x, weight = call["input"], call["weight"]
    labels = [trace.join(*dims) for dims in zip(trace.get(call["grad_out"]), trace.get(x), strict=True)]
    if weight is not None:
        first = x.dim() - weight.dim() if call.name == "native_layer_norm_backward" else 1
        for dim, vector in enumerate(trace.get(weight)):
            labels[first + dim] = trace.join(labels[first + dim], vector)
            trace.play(weight, dim, "scale")
    for vector in labels if call.name != "native_batch_norm_backward" else ():
        trace.freeze(vector, "gradient of a norm over channels", Bond.CUT)
    trace.put(tensors_among(call.out)[0], tuple(labels))
