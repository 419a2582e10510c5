"""Operators with weights: convolution, matrix product, attention, normalisation, embedding."""

import numpy as np
from torch import Tensor

from growsearch.surgery.labels import Bond, Labels, LabelTrace
from growsearch.surgery.operators import Call, rule, tensors_among
from growsearch.surgery.widths import Vector, Width, tiled


@rule("convolution")
def convolution(trace: LabelTrace, call: Call) -> None:
    """Out channels are new, in channels meet the weight's; a depthwise kernel follows its input."""
    x, weight, bias, groups = call["input"], call["weight"], call["bias"], call["groups"]
    in_dim, out_dim = (0, 1) if call["transposed"] else (1, 0)
    labels = trace.get(weight)
    for kernel in labels[2:]:
        trace.freeze(kernel, "kernel size")
    batch = trace.get(x)[0]
    if groups == 1:
        contract(trace, x, 1, weight, in_dim)
        out = labels[out_dim]
        trace.play(weight, out_dim, "producer")
    elif groups == x.shape[1]:
        out = depthwise(trace, x, weight, call.out.shape[1] // groups)
    elif call["transposed"]:
        out = grouped_transposed(trace, x, weight, groups)
    else:
        out = grouped(trace, x, weight, groups)
    add_bias(trace, bias, out)
    trace.put(call.out, (batch, out, *_along_space(trace, call, x)))


def _along_space(trace: LabelTrace, call: Call, x: Tensor) -> list[Vector | None]:
    """Labels of the dimensions that a window slides over: an attention across channels slides over channels."""
    left: list[Vector | None] = []
    for dim, vector in enumerate(trace.get(x)[2:], 2):
        if vector is not None and call["weight"].shape[dim] > 1:
            same = call.out.shape[dim] == x.shape[dim]
            trace.freeze(vector, "convolution along the channels", Bond.ORDERED if same else Bond.FIXED)
        left.append(vector if vector is None or call.out.shape[dim] == x.shape[dim] else None)
        if vector is not None and left[-1] is None:
            trace.freeze(vector, "convolution along the channels")
    return left


def depthwise(trace: LabelTrace, x: Tensor, weight: Tensor, multiplier: int) -> Vector | None:
    """Each input channel owns a block of filters (one, unless there is a channel multiplier)."""
    filters, one = trace.get(weight)[:2]
    trace.freeze(one, "depthwise kernel")
    channels = trace.get(x)[1]
    groups = trace.written[0] if trace.written else 0
    trace.measure(groups, channels)
    spread = None if channels is None else np.repeat(channels, multiplier)
    owners = channels if weight.shape[0] == x.shape[1] else spread  # a transposed weight has its inputs first
    sized, origin = isinstance(groups, Width), trace.origin(weight)
    if not trace.play(weight, 0, "depthwise") and not sized:
        trace.freeze(channels, "depthwise convolution with a computed weight")
    if sized and origin is not None and origin[1][0] is not None:
        trace.grouped.add((origin[0], origin[1][0]))
    joined = trace.join(filters, owners)
    if spread is not None or joined is None:
        return spread
    return np.repeat(joined, x.shape[1] * multiplier // len(joined))


def grouped(trace: LabelTrace, x: Tensor, weight: Tensor, groups: int) -> Vector | None:
    """Blocks stay equal in number and size: the same place of every block is one channel."""
    filters, inner = trace.get(weight)[:2]
    channels, origin = trace.get(x)[1], trace.origin(weight)
    if origin is not None and origin[0] in trace.whole:
        return _whole_blocks(trace, filters, inner, channels, weight, groups)
    if filters is not None:
        trace.blocks(filters, groups)
        if origin is not None:
            trace.blocked[origin[0]] = filters
    trace.play(weight, 0, "producer")
    if not trace.play(weight, 1, "consumer"):
        trace.freeze(channels, "grouped convolution with a computed weight", Bond.CUT)
    trace.join(channels, None if inner is None else tiled(inner, groups))
    return filters


def _whole_blocks(
    trace: LabelTrace,
    filters: Vector | None,
    inner: Vector | None,
    channels: Vector | None,
    weight: Tensor,
    groups: int,
) -> Vector | None:
    """Blocks of one size, each with its inputs one channel; their number changes."""
    trace.play(weight, 0, "depthwise")
    trace.freeze(inner, "size of a block")
    if filters is None or channels is None:
        trace.freeze(filters if channels is None else channels, "blocks of fixed number")
        return filters
    trace.join(*(trace.runs(vector, len(vector) // groups) for vector in (filters, channels)))
    return filters


def grouped_transposed(trace: LabelTrace, x: Tensor, weight: Tensor, groups: int) -> Vector | None:
    """The weight has the inputs of all blocks, and the outputs of one."""
    inputs, outputs = trace.get(weight)[:2]
    meet = trace.join(trace.get(x)[1], inputs)
    if meet is not None:
        trace.blocks(meet, groups)
    if not trace.play(weight, 0, "consumer"):
        trace.freeze(meet, "grouped transposed convolution with a computed weight", Bond.CUT)
    trace.play(weight, 1, "producer")
    return None if outputs is None else tiled(outputs, groups)


def contract(trace: LabelTrace, x: Tensor, x_dim: int, weight: Tensor, weight_dim: int) -> Vector | None:
    """A sum over channels: exact under copies only where a parameter can be divided by their number.

    Returns:
        The channels, if there is no such parameter.
    """
    joined = trace.join(trace.get(x)[x_dim], trace.get(weight)[weight_dim])
    if trace.play(weight, weight_dim, "consumer"):
        trace.play(x, x_dim, "scale")
    elif not trace.play(x, x_dim, "consumer"):
        trace.freeze(joined, "sum over channels without a parameter to scale", Bond.CUT)
        return joined
    return None


def add_bias(trace: LabelTrace, bias: Tensor | None, out: Vector | None) -> None:
    """A bias has the channels of what it is added to."""
    if bias is not None:
        trace.join(out, trace.get(bias)[-1])
        trace.play(bias, bias.dim() - 1, "bias")


@rule("mm", "addmm", "bmm", "baddbmm", "_sparse_addmm")
def matrix_product(trace: LabelTrace, call: Call) -> None:
    """Rows of the left and columns of the right go through; what lies between is summed over."""
    a, b = (call["self"], call["mat2"]) if call.get("mat1") is None and call.get("batch1") is None else _pair(call)
    summed = contract(trace, a, a.dim() - 1, b, b.dim() - 2)
    labels_a, labels_b = trace.get(a), trace.get(b)
    for weight, dim in ((a, a.dim() - 2), (b, b.dim() - 1)):
        trace.play(weight, dim, "producer")
    batch = trace.join(labels_a[0], labels_b[0]) if a.dim() == 3 else None
    out = (labels_a[-2], labels_b[-1])
    if a is not call["self"] and call.get("beta") != 0:
        bias = call["self"]
        if bias.dim() == 1 or bias.shape[0] == 1:
            add_bias(trace, bias, out[1])
        else:
            trace.freeze_all([bias], "matrix added to a product")
            for vector in out:
                trace.freeze(vector, "matrix added to a product")
    trace.put(call.out, out if a.dim() == 2 else (batch, *out))
    if summed is not None:
        trace.scores[id(call.out)] = [summed]


def _pair(call: Call) -> tuple[Tensor, Tensor]:
    """The factors of a product that is added to something."""
    return (call["mat1"], call["mat2"]) if call.get("mat1") is not None else (call["batch1"], call["batch2"])


@rule(
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_attention_math",
    "_scaled_dot_product_fused_attention_overrideable",
)
def attention(trace: LabelTrace, call: Call) -> None:
    """Queries and keys are multiplied channel by channel and summed; values go through."""
    query, key, value = (trace.get(call[name]) for name in ("query", "key", "value"))
    summed = trace.join(query[-1], key[-1])
    trace.freeze(summed, "attention between channels", Bond.CUT)
    if call["key"].shape[-2] == 1:
        trace.leave_alone([summed])
    trace.freeze(trace.join(key[-2], value[-2]), "softmax over channels", Bond.CUT)
    batch = [trace.join(*dims) for dims in zip(query[:-2], key[:-2], value[:-2], strict=True)]
    for name in ("attn_mask", "attn_bias"):
        if isinstance(call.get(name), Tensor):
            _mask(trace, call[name], (*batch, query[-2], key[-2]))
    trace.put(call.out[0] if isinstance(call.out, (tuple, list)) else call.out, (*batch, query[-2], value[-1]))


def _mask(trace: LabelTrace, mask: Tensor, scores: Labels) -> None:
    """A mask is added to the scores: it has their heads, or one entry for all of them."""
    for dim, vector in enumerate(trace.get(mask), len(scores) - mask.dim()):
        score = scores[dim]
        if vector is not None and score is not None and len(vector) == len(score):
            trace.join(vector, score)
        else:
            trace.freeze(vector, "mask of an attention")
            if mask.shape[dim - len(scores)] > 1:
                trace.freeze(score, "mask of an attention")


@rule(
    "native_batch_norm",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
)
def batch_norm(trace: LabelTrace, call: Call) -> None:
    """Per channel, in both modes."""
    x = call["input"]
    labels = list(trace.get(x))
    for dim, vector in enumerate(labels):
        if dim != 1:
            trace.freeze(vector, "batch norm over channels", Bond.EVEN)
    tensors = [call.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
    tensors = [each for each in tensors if isinstance(each, Tensor)]
    labels[1] = trace.join(labels[1], *[trace.get(each)[0] for each in tensors])
    for tensor in tensors:
        trace.play(tensor, 0, "norm")
    trace.put(call.out[0], tuple(labels))


@rule("native_layer_norm", "_fused_rms_norm")
def layer_norm(trace: LabelTrace, call: Call) -> None:
    """Its statistics are means over channels, so uneven copies would change them."""
    labels = list(trace.get(call["input"]))
    first = len(labels) - len(call["normalized_shape"])
    for dim in range(first, len(labels)):
        tensors = [t for t in (call.get("weight"), call.get("bias")) if t is not None]
        labels[dim] = trace.join(labels[dim], *[trace.get(t)[dim - first] for t in tensors])
        for tensor in tensors:
            trace.play(tensor, dim - first, "norm")
        trace.freeze(labels[dim], "layer norm over channels", Bond.EVEN)
    trace.put(call.out[0], tuple(labels))


@rule("native_group_norm")
def group_norm(trace: LabelTrace, call: Call) -> None:
    """Its statistics are means over groups, which stay equal in number and size, or are those of single channels."""
    labels = list(trace.get(call["input"]))
    tensors = [t for t in (call["weight"], call["bias"]) if t is not None]
    labels[1] = trace.join(labels[1], *[trace.get(t)[0] for t in tensors])
    for tensor in tensors:
        trace.play(tensor, 0, "norm")
    if call["group"] == call["input"].shape[1] > 1:  # each channel by itself, if the number of groups follows
        trace.measure(trace.written[0] if trace.written else 0, labels[1])
    else:
        if labels[1] is not None:
            trace.blocks(labels[1], call["group"])
        trace.freeze(labels[1], "group norm over channels", Bond.EVEN)
    trace.put(call.out[0], tuple(labels))


@rule("_cdist_forward", "_euclidean_dist")
def distances(trace: LabelTrace, call: Call) -> None:
    """Between the rows of two matrices, over their columns."""
    left, right = trace.get(call["x1"]), trace.get(call["x2"])
    trace.freeze(trace.join(left[-1], right[-1]), "distance between channels", Bond.CUT)
    for tensor in (call["x1"], call["x2"]):
        trace.play(tensor, tensor.dim() - 2, "producer")
        trace.play(tensor, tensor.dim() - 1, "scale")
    batch = [trace.join(*dims) for dims in zip(left[:-2], right[:-2], strict=True)]
    trace.put(call.out, (*batch, left[-2], right[-2]))


@rule("_trilinear")
def bilinear(trace: LabelTrace, call: Call) -> None:
    """The weight of ``nn.Bilinear`` sums over the channels of two inputs."""
    left, weight, right = (call[name] for name in ("i1", "i2", "i3"))
    if [call[name] for name in ("expand1", "expand2", "expand3", "sumdim")] != [[1, 3], [0], [1, 2], [2, 3]]:
        trace.freeze_all(call.inputs, "product of three tensors")
        return
    contract(trace, left, 1, weight, 1)
    contract(trace, right, 1, weight, 2)
    trace.play(weight, 0, "producer")
    trace.put(call.out, (trace.join(trace.get(left)[0], trace.get(right)[0]), trace.get(weight)[0]))


@rule("mv", "dot", "vdot")
def vector_product(trace: LabelTrace, call: Call) -> None:
    """A matrix, or a vector, times a vector."""
    left, right = call.inputs
    contract(trace, left, left.dim() - 1, right, 0)
    if left.dim() == 2:
        trace.play(left, 0, "producer")
        trace.put(call.out, trace.get(left)[:1])


@rule("embedding")
def embedding(trace: LabelTrace, call: Call) -> None:
    """Columns are channels, rows are the vocabulary."""
    rows, columns = trace.get(call["weight"])
    trace.freeze(rows, "vocabulary")
    trace.look_up(call["weight"], call["indices"])
    trace.play(call["weight"], 1, "producer")
    trace.put(call.out, (*trace.get(call["indices"]), columns))


@rule("embedding_renorm_")
def bounded_embedding(trace: LabelTrace, call: Call) -> None:
    """Bounds the length of the rows that are looked up, in place."""
    trace.freeze(trace.get(call["self"])[1], "length over channels", Bond.CUT)
    trace.look_up(call["self"], call["indices"])


@rule("_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(trace: LabelTrace, call: Call) -> None:
    """As :func:`embedding`, with the rows of a bag summed up or compared entry by entry."""
    rows, columns = trace.get(call["weight"])
    trace.freeze(rows, "vocabulary")
    trace.look_up(call["weight"], call["indices"])
    trace.play(call["weight"], 1, "producer")
    trace.put(call.out[0], (None, columns))


@rule("_pack_padded_sequence")
def packed(trace: LabelTrace, call: Call) -> None:
    """Places of all sequences in one dimension."""
    labels = trace.get(call["input"])
    for vector in labels[:2]:
        trace.freeze(vector, "sequences that are packed")
    trace.put(call.out[0], (None, *labels[2:]))


@rule("torchvision.deform_conv2d")
def deformed_convolution(trace: LabelTrace, call: Call) -> None:
    """A convolution whose windows are bent by offsets, the same ones for all channels of a group."""
    if call["groups"] != 1 or call["offset_groups"] != 1:
        trace.freeze_all(call.inputs, "deformed convolution in groups")
        return
    for name in ("offset", "mask"):
        trace.freeze(trace.get(call[name])[1], "offsets of a deformed convolution")
    labels = trace.get(call["weight"])
    for kernel in labels[2:]:
        trace.freeze(kernel, "kernel size")
    contract(trace, call["input"], 1, call["weight"], 1)
    trace.play(call["weight"], 0, "producer")
    add_bias(trace, call["bias"], labels[0])
    trace.put(call.out, (trace.get(call["input"])[0], labels[0], None, None))


@rule("_weight_norm_interface", "_weight_norm")
def weight_norm(trace: LabelTrace, call: Call) -> None:
    """A weight of the direction of one parameter and, along one dimension, the length of another."""
    direction, length, kept = trace.get(call["v"]), trace.get(call["g"]), call["dim"]
    labels = list(direction)
    for dim, vector in enumerate(direction):
        if dim == kept:
            labels[dim] = trace.join(vector, length[dim])
        else:
            trace.freeze(vector, "weight norm over channels", Bond.CUT)
        trace.play(call["v"], dim, "scale")
    trace.play(call["g"], kept, "scale")
    trace.put(tensors_among(call.out)[0], tuple(labels))
