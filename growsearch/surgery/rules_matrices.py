"""Operators on square matrices and diagonals, and on matrices as wholes."""

from torch import Tensor

from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.operators import Call, normal, rule, tensors_among
from growsearch.surgery.rules_layers import add_bias, contract
from growsearch.surgery.widths import Vector


@rule("diagonal", "diagonal_copy")
def diagonal(trace: LabelTrace, call: Call) -> None:
    """Of a matrix of channels by the same channels it has one entry for each of them; any other is fixed."""
    x, labels = call["self"], list(trace.get(call["self"]))
    pair = normal([call["dim1"], call["dim2"]], x.dim())
    along = _square(trace, [labels[dim] for dim in pair], "diagonal of a matrix")
    if call["offset"] or call.out.shape[-1] != x.shape[pair[0]]:
        trace.freeze(along, "diagonal of a matrix")
        along = None
    _use(trace, x)
    trace.put(call.out, (*(v for dim, v in enumerate(labels) if dim not in pair), along))


@rule("diag_embed")
def on_diagonal(trace: LabelTrace, call: Call) -> None:
    """A matrix with channels on its diagonal: between copies there are zeros, so that none are exact."""
    labels = list(trace.get(call["self"]))
    vector = labels.pop()
    if call["offset"]:
        trace.freeze(vector, "diagonal of a matrix")
        vector = None
    trace.freeze(vector, "diagonal of a matrix", Bond.CUT)
    out: list[Vector | None] = []
    pair = normal([call["dim1"], call["dim2"]], call.out.dim())
    for dim in range(call.out.dim()):
        out.append(vector if dim in pair else labels.pop(0))
    trace.put(call.out, tuple(out))


@rule("tril", "triu", "tril_", "triu_")
def triangle(trace: LabelTrace, call: Call) -> None:
    """Zeros on one side of the diagonal: channels keep their order."""
    labels = trace.get(call["self"])
    vector = _square(trace, list(labels[-2:]), "triangle of a matrix")
    trace.freeze(vector, "triangle of a matrix", Bond.FIXED if call["diagonal"] else Bond.ORDERED)
    _use(trace, call["self"])
    trace.put(call.out, labels)


@rule("trace", "linalg_det", "_linalg_det", "_linalg_slogdet")
def summed_up(trace: LabelTrace, call: Call) -> None:
    """One number, or several, of each matrix, whichever order its rows and columns are in."""
    x = call.inputs[0]
    labels, reason = trace.get(x), f"{call.name.strip('_')} over channels"
    trace.freeze(_square(trace, list(labels[-2:]), reason), reason, Bond.CUT)
    _use(trace, x)
    for out in tensors_among(call.out):
        if out.dim() == x.dim() - 2:
            trace.put(out, labels[:-2])


@rule("linalg_inv_ex", "linalg_matrix_exp", "linalg_pinv", "linalg_cholesky_ex")
def of_a_matrix(trace: LabelTrace, call: Call) -> None:
    """Another matrix, in which every entry depends on all; an inverse has rows for columns."""
    x = call.inputs[0]
    labels = trace.get(x)
    bond = Bond.ORDERED if call.name == "linalg_cholesky_ex" else Bond.CUT
    turned = call.name in ("linalg_inv_ex", "linalg_pinv")
    if call.name != "linalg_pinv":
        _square(trace, list(labels[-2:]), call.name)
    for vector in labels[-2:]:
        trace.freeze(vector, f"{call.name} over channels", bond)
    _use(trace, x)
    out = tensors_among(call.out)[0]
    trace.put(out, (*labels[:-2], labels[-1], labels[-2]) if turned else labels)


@rule("_linalg_solve_ex")
def solved(trace: LabelTrace, call: Call) -> None:
    """The columns that a square matrix maps to others."""
    a, b, out = call["A"], call["B"], tensors_among(call.out)[0]
    if not call["left"] or a.dim() != b.dim():
        trace.freeze_all([a, b], "linear equations")
        return
    left, right = trace.get(a), trace.get(b)
    rows = trace.join(_square(trace, list(left[-2:]), "linear equations"), right[-2])
    trace.freeze(rows, "linear equations over channels", Bond.CUT)
    for tensor in (a, b):
        _use(trace, tensor)
    trace.put(out, (*(trace.join(*dims) for dims in zip(left[:-2], right[:-2], strict=True)), rows, right[-1]))


@rule("_linalg_svd", "_linalg_eigh", "linalg_eig", "linalg_qr", "linalg_householder_product", "linalg_lu_factor_ex")
def decomposed(trace: LabelTrace, call: Call) -> None:
    """Matrices of fixed size; those of a batch are taken one by one."""
    labels = trace.get(call.inputs[0])
    for vector in labels[-2:]:
        trace.freeze(vector, f"{call.name.strip('_')} over channels")
    for out in tensors_among(call.out):
        trace.put(out, (*labels[:-2], *[None] * (out.dim() - len(labels) + 2)))


@rule("linalg_cross")
def cross_product(trace: LabelTrace, call: Call) -> None:
    """Of vectors of three entries along one dimension; the others meet."""
    left, right = trace.get(call["self"]), trace.get(call["other"])
    out = [trace.join(*dims) for dims in zip(left, right, strict=True)]
    for dim in normal(call["dim"], len(out)):
        trace.freeze(out[dim], "cross product of channels")
    for tensor in call.inputs:
        _use(trace, tensor)
    trace.put(call.out, tuple(out))


@rule("addmv", "addr")
def added_product(trace: LabelTrace, call: Call) -> None:
    """A vector beside a matrix times a vector, or a matrix beside the products of each two entries of vectors."""
    beside = call["self"]
    if call.name == "addmv":
        contract(trace, call["mat"], 1, call["vec"], 0)
        trace.play(call["mat"], 0, "producer")
        out = trace.get(call["mat"])[:1]
        if beside.dim() == 1 and beside.shape == call.out.shape:
            add_bias(trace, beside, out[0])
        else:
            trace.freeze_all([beside], "added to a product")
        trace.put(call.out, out)
        return
    out = trace.get(call["vec1"])[0], trace.get(call["vec2"])[0]
    if beside.shape == call.out.shape:
        out = tuple(trace.join(*dims) for dims in zip(out, trace.get(beside), strict=True))
    else:
        trace.freeze_all([beside], "added to a product")
    for tensor in call.inputs:
        _use(trace, tensor)
    trace.put(call.out, out)


@rule("_pdist_forward")
def distances_within(trace: LabelTrace, call: Call) -> None:
    """Between each two rows of one matrix, over its columns."""
    rows, columns = trace.get(call["self"])
    trace.freeze(rows, "pairs of channels")
    trace.freeze(columns, "distance between channels", Bond.CUT)
    _use(trace, call["self"])


def _square(trace: LabelTrace, pair: list[Vector | None], reason: str) -> Vector | None:
    """The channels of both dimensions of a square matrix; those of one that is not are fixed."""
    first, second = pair
    if first is not None and second is not None and len(first) == len(second):
        return trace.join(first, second)
    for vector in pair:
        trace.freeze(vector, reason)
    return None


def _use(trace: LabelTrace, x: Tensor) -> None:
    """Note that a parameter is used in another way than to read or to write channels."""
    for dim in range(x.dim()):
        trace.play(x, dim, "scale")
