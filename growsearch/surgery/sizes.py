"""Origins of the sizes that a network's code writes into views.

An operator sees plain numbers. This mode watches the Python side: a size read off a labelled
tensor, or off a module's attribute, is a :class:`~growsearch.surgery.widths.Width` until it is
passed to a view, and tells the trace which sizes must stay equal and which attributes must follow.
"""

import types
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import chain, combinations
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.origins import attribute_in_use, once_taken, share_taken
from growsearch.surgery.recurrence import few_steps
from growsearch.surgery.rehearsal import WithoutDropout
from growsearch.surgery.remembering import Computed, Remembering, plain
from growsearch.surgery.rules_shapes import counted_part
from growsearch.surgery.widths import Width

_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
_SIZED = frozenset(("view", "reshape", "unflatten", "expand", "expand_as", "view_as", "size", "shape", "split"))
"""Python functions of torch that use one of these are watched from inside."""
_FOLLOWED = {"normalized_shape", "hidden_size", "proj_size", "d_model", "unflattened_size"}
_CREATES = {
    *("zeros", "ones", "full", "empty", "rand", "randn"),
    *("new_zeros", "new_ones", "new_full", "new_empty", "new"),
}


def mark_attributes(modules: Iterable[tuple[str, nn.Module]], heads: bool = False) -> None:
    """Make the whole numbers that modules hold remember that they are attributes; for a copy that is thrown away.

    Layers of torch are left out: their sizes are those of their tensors, except for the shape of a norm or of what is
    unflattened, for the sizes of the states that recurrent layers begin with, for what a transformer compares with its
    inputs, for the groups of a norm that are single channels, and for numbers of heads where these may change.
    """
    followed = {*_FOLLOWED, "num_heads"} if heads else _FOLLOWED
    for path, module in modules:
        held = vars(module)
        if not type(module).__module__.startswith("torch.nn."):
            names = [name for name in held if not name.startswith("_")]
        else:
            names = [name for name in followed if name in held]
            if isinstance(module, nn.GroupNorm) and module.num_groups == module.num_channels:
                names.append("num_groups")
        for name in names:
            value = held[name]
            if type(value) is int and value > 1:
                held[name] = Width.make(value, attribute=(path, name, None))
            elif type(value) in (tuple, list) and value and all(type(each) is int for each in value):
                held[name] = type(value)(
                    Width.make(each, attribute=(path, name, index)) for index, each in enumerate(value)
                )


_LAYERS: dict[type[nn.Module], dict[str, int]] = {
    nn.modules.conv._ConvNd: {"out_channels": 0, "in_channels": 1},
    nn.modules.conv._ConvTransposeNd: {"out_channels": 1, "in_channels": 0},
    nn.Linear: {"out_features": 0, "in_features": 1},
    nn.Embedding: {"embedding_dim": 1},
    nn.modules.batchnorm._NormBase: {"num_features": 0},
    nn.GroupNorm: {"num_channels": 0},
}
"""Sizes of torch's layers, and the dimensions of their weights that these count."""


def _sizes_of(kind: type[nn.Module]) -> dict[str, int]:
    """The sizes that a layer of a class has, and the dimensions of its weight that these count."""
    return next((_LAYERS[each] for each in kind.__mro__ if each in _LAYERS), {})


def mark_layers(modules: Collection[nn.Module], labels: LabelTrace) -> None:
    """Make the sizes of torch's layers remember the labels of their weights; for a copy that is thrown away."""
    sizes = {kind: _sizes_of(kind) for kind in set(map(type, modules))}
    for module in modules:
        weight = module._parameters.get("weight")
        if weight is None:
            continue
        for name, dim in sizes[type(module)].items():
            vector = labels.get(weight)[dim]
            if vector is not None and module.__dict__.get(name) == len(vector):
                module.__dict__[name] = Width.make(len(vector), vector)


class Sizes(WithoutDropout):
    """Marks the sizes of labelled tensors, and hands written sizes to the trace; one mode, as each takes time.

    Args:
        labels: the trace.
        unseen: whether the code may ask any shape for its entries without being seen.
    """

    def __init__(self, labels: LabelTrace, unseen: bool) -> None:
        super().__init__()
        self.labels, self._unseen = labels, unseen
        self._running: set[Any] = set()
        self._handlers: dict[str, Callable[[Any, Any, Any], Any]] = {
            "__get__": self._shape,
            "size": self._size,
            **dict.fromkeys(("view", "reshape", "expand", "broadcast_to", "repeat", "tile"), self._view),
            **dict.fromkeys(("view_as", "reshape_as", "expand_as"), self._view_as),
            **dict.fromkeys(("layer_norm", "rms_norm"), self._norm),
            **dict.fromkeys(("conv1d", "conv2d", "conv3d"), self._conv),
            **dict.fromkeys(_CREATES, self._create),
            "eye": self._identity,
            "group_norm": self._group_norm,
            "batch_norm": self._batch_norm,
            "unflatten": self._unflatten,
            **dict.fromkeys(("__getitem__", "__setitem__"), self._slice),
            **dict.fromkeys(("numel", "nelement"), self._numel),
            "stride": self._stride,
            "narrow": self._narrow,
            "split": self._split,
            "chunk": self._chunk,
            "tensor_split": self._tensor_split,
            "normal": self._normal,
            "tensor": self._constant,
            "broadcast_tensors": self._broadcast,
            "_pad_packed_sequence": self._unpack,
            **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), partial(few_steps, labels)),
            "tolist": self._list,
            "__len__": self._len,
            **dict.fromkeys(("untyped_storage", "storage", "_typed_storage", "storage_offset"), self._memory),
        }

    def __torch_function__(self, func: Any, types_: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self._running:
            handler = self._handlers.get(getattr(func, "__name__", ""))
            if handler is not None:
                return handler(func, args, kwargs)
            if isinstance(func, types.FunctionType) and _SIZED.intersection(func.__code__.co_names):
                return self._opened(func, args, kwargs)
            _leave(args, kwargs.values())
        return super().__torch_function__(func, types_, args, kwargs)

    def _opened(self, func: types.FunctionType, args: Any, kwargs: Any) -> Any:
        """Run a Python function of torch so that what it calls is seen too."""
        self._running.add(func)
        try:
            with self:
                return _unchecked(func)(*args, **kwargs)
        finally:
            self._running.discard(func)

    def _shape(self, func: Any, args: Any, kwargs: Any) -> Any:
        if getattr(func, "__self__", None) is Tensor.nbytes:
            return self._numel(func, args, kwargs) * args[0].element_size()
        out = func(*args, **kwargs)
        return self._marked(args[0], out) if isinstance(out, torch.Size) else out

    def _size(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = func(*args, **kwargs)
        if isinstance(out, torch.Size):
            return self._marked(args[0], out)
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        return self._marked(args[0], args[0].shape)[dim] if isinstance(dim, int) else out

    def _marked(self, tensor: Tensor, shape: torch.Size) -> torch.Size:
        """A tensor's size with the labels that it counts."""
        labels = self.labels.get(tensor)
        if all(vector is None for vector in labels):
            return shape
        sizes = torch.Size([n if v is None else Width.make(n, v) for n, v in zip(shape, labels, strict=True)])
        if self._unseen:
            dims = range(len(sizes) + 1)
            _leave(prod(sizes[start:stop]) for start, stop in combinations(dims, 2))
        return sizes

    def _written(self, func: Any, args: Any, kwargs: Any, sizes: Any) -> Any:
        self.labels.written = tuple(sizes)
        try:
            return func(*args, **kwargs)
        finally:
            self.labels.written = None

    def _view(self, func: Any, args: Any, kwargs: Any) -> Any:
        named = [kwargs[name] for name in ("shape", "size", "repeats", "dims") if name in kwargs]
        sizes = named[0] if named else args[1:]
        sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
        plain = all(isinstance(each, int) for each in sizes)
        return self._written(func, args, kwargs, sizes if plain else ())

    def _view_as(self, func: Any, args: Any, kwargs: Any) -> Any:
        other = args[1] if len(args) > 1 else next(iter(kwargs.values()))
        return self._written(func, args, kwargs, self._marked(other, other.shape))

    def _unflatten(self, func: Any, args: Any, kwargs: Any) -> Any:
        x, dim, sizes = [*args, *kwargs.values()][:3]
        shape = list(x.shape)
        dim = dim % len(shape) if isinstance(dim, int) else 0
        return self._written(func, args, kwargs, (*shape[:dim], *sizes, *shape[dim + 1 :]))

    def _split(self, func: Any, args: Any, kwargs: Any) -> Any:
        size = args[1] if len(args) > 1 else kwargs.get("split_size_or_sections", kwargs.get("split_size"))
        sizes = size if isinstance(size, (tuple, list)) else (size,)
        return self._written(func, args, kwargs, [share_taken(each) if type(each) is int else each for each in sizes])

    def _chunk(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.labels.chunks = args[1] if len(args) > 1 else kwargs["chunks"]
        try:
            return func(*args, **kwargs)
        finally:
            self.labels.chunks = None

    def _broadcast(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Tensors are spread over as many entries as the largest of them has."""
        tensors = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
        shape = torch.broadcast_shapes(*(each.shape for each in tensors))
        largest = next((each for each in tensors if each.shape == shape), None)
        if largest is None:
            return func(*args, **kwargs)
        return tuple(self._view_as(Tensor.expand_as, (each, largest), {}) for each in tensors)

    def _tensor_split(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Equal parts are those of a split."""
        x, parts, dim = [*args, *kwargs.values(), 0][:3]
        if isinstance(parts, int) and isinstance(dim, int) and parts > 0 and x.shape[dim] % parts == 0:
            return self._split(Tensor.split, (x, self._marked(x, x.shape)[dim] // parts), {"dim": dim})
        return func(*args, **kwargs)

    def _constant(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A tensor of numbers of Python, whose values the meta device would lose."""
        out = func(*args, **kwargs)
        _leave(pytree.tree_leaves(args))
        if out.is_meta:
            self.labels.give_value(out, func(*args, **{**kwargs, "device": "cpu", "requires_grad": False}))
        return out

    def _normal(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Draws of a written size, for which torch does not ask where tensors are made."""
        drawn = not any(isinstance(each, Tensor) for each in (*args, *kwargs.values()))
        return self._create(func, args, {"device": "meta", **kwargs} if drawn else kwargs)

    def _unpack(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The inverse of packing sequences, which torch writes into a constant one by one."""
        data, counts, first, _, total = args
        length = max(len(counts), total)
        shape = (int(counts[0]), length) if first else (length, int(counts[0]))
        out = data.new_empty((*shape, *data.shape[1:]))
        self.labels.put(out, (None, None, *self.labels.get(data)[1:]))
        with torch.device("cpu"):
            return out, (counts[None] > torch.arange(int(counts[0]))[:, None]).sum(1)

    def _list(self, func: Any, args: Any, kwargs: Any) -> Any:
        return func(self.labels.read(args[0]), **kwargs)

    def _slice(self, func: Any, args: Any, kwargs: Any) -> Any:
        parts = args[1] if isinstance(args[1], tuple) else (args[1],)
        _leave(parts, args[2:])
        cuts = []
        for place, part in enumerate(parts):
            if isinstance(part, slice):
                start, stop = (self._bound(each) for each in (part.start, part.stop))
                if isinstance(start, Computed) or isinstance(stop, Computed):
                    cuts.append((place, start, stop))
        if len(cuts) > 1:  # a side of a map may be equal to what int gave
            bounds = {place: (parts[place].start, parts[place].stop) for place, _, _ in cuts}
            cuts = [cut for cut in cuts if any(isinstance(each, Computed) for each in bounds[cut[0]])]
        if len(cuts) != 1:
            return func(*args, **kwargs)
        ((dim, start, stop),) = cuts
        whole = start in (None, 0) and all(isinstance(part, slice) for part in parts[:dim])
        if whole and args[0].shape[dim] == stop:  # no operator runs, and the number must stay that of all
            self.labels.measure(stop, self.labels.get(args[0])[dim])
        return self._written(func, args, kwargs, [0 if each is None else each for each in (start, stop)])

    def _bound(self, bound: Any) -> Any:
        """A bound of a slice with what is known of where it comes from."""
        if not isinstance(bound, Tensor) or bound.dim() or bound.is_floating_point():
            return share_taken(bound)
        number = self.labels.read(bound)
        return bound if number.is_meta else attribute_in_use(int(number))

    def _narrow(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A slice by its start and length; multiples of one part of a width make another such multiple."""
        start, length = (args[i] if len(args) > i else kwargs.get(name) for i, name in ((2, "start"), (3, "length")))
        stop = length if start in (0, None) else start + length
        if isinstance(start, Width) and isinstance(length, Width) and _of_one(start, length):
            times = start.times + length.times
            stop = Width.make(plain(stop), length.vector, length.attribute, length.parts, times)
        return self._written(func, args, kwargs, (start, stop))

    def _numel(self, func: Any, args: Any, kwargs: Any) -> Any:
        return prod(self._marked(args[0], args[0].shape))

    def _memory(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What lies in memory has a length that is none of Python's numbers."""
        entries = self._numel(func, args, kwargs)
        _leave((entries, entries * args[0].element_size()))
        return func(*args, **kwargs)

    def _stride(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Of a tensor in the usual order they are products of its sizes."""
        out, shape = func(*args, **kwargs), self._marked(args[0], args[0].shape)
        strides = tuple(prod(shape[dim + 1 :]) for dim in range(len(shape)))
        if args[0].stride() == strides:
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            return strides if dim is None else strides[dim]
        _leave(shape)
        return out

    def _len(self, func: Any, args: Any, kwargs: Any) -> int:
        """Python makes a plain number of it."""
        size = self._marked(args[0], args[0].shape)[0]
        if isinstance(size, Width):
            size.leave()
        return plain(size)

    def _identity(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A matrix of a written size: between copies of channels it has zeros, so that none are exact."""
        out = self._create(func, args if len(args) > 1 else (*args, *args), kwargs)
        for vector in self.labels.get(out):
            self.labels.freeze(vector, "a matrix with ones on its diagonal", Bond.CUT)
        self.labels.join(*self.labels.get(out))
        return out

    def _norm(self, func: Any, args: Any, kwargs: Any) -> Any:
        x = args[0] if args else kwargs["input"]
        shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
        for width, vector in zip(reversed(shape), reversed(self.labels.get(x)), strict=False):
            self.labels.measure(width, vector)
        return func(*args, **kwargs)

    def _conv(self, func: Any, args: Any, kwargs: Any) -> Any:
        groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
        return self._written(func, args, kwargs, (groups,))

    def _group_norm(self, func: Any, args: Any, kwargs: Any) -> Any:
        return self._written(func, args, kwargs, (args[1] if len(args) > 1 else kwargs["num_groups"],))

    def _batch_norm(self, func: Any, args: Any, kwargs: Any) -> Any:
        """It asks whether there is one value for each channel: of no interest where all else are no channels."""
        labels = self.labels.get(args[0] if args else kwargs["input"])
        others = any(vector is not None for dim, vector in enumerate(labels) if dim != 1)
        if isinstance(func, types.FunctionType) and (others or self._unseen):
            return self._opened(func, args, kwargs)
        _leave(args, kwargs.values())
        return func(*args, **kwargs)

    def _create(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A constant whose size was read off a labelled tensor, or off a module, has its labels, on whatever device."""
        draws = self.labels.draws
        before = len(draws)
        given = [list(each) if isinstance(each, torch.Size) else each for each in (*args, kwargs.get("size"))]
        leaves = pytree.tree_leaves(given)
        sizes = [leaf for leaf in leaves if type(leaf) in (int, Computed, Width) or _is_number(leaf)]
        origins = [once_taken(size) for size in sizes]
        found = [place for place, size in enumerate(sizes) if origins[place] is not size]
        found = found if len(found) == 1 else [1] if 1 in found else []  # sides of a map may be equal to its channels
        written = [origins[place] if place in found else size for place, size in enumerate(sizes)]
        known = [counted_part(self.labels, each, each) for each in written]
        if kwargs.get("device") is not None and any(vector is not None for vector in known):
            kwargs = {**kwargs, "device": "meta", "pin_memory": False}
        out = func(*args, **kwargs)
        if len(draws) > before:  # torch hands on another object than the operator gave
            draws[-1] = draws[-1][0], out
        if isinstance(out, Tensor) and len(sizes) >= out.dim() and any(vector is not None for vector in known):
            self.labels.put(out, tuple(known[: out.dim()]))
        _leave((kwargs.get("fill_value"), *args[1:]) if "full" in func.__name__ else ())
        return out


def _leave(*lists: Iterable[Any]) -> None:
    """Note sizes that go into an operator as numbers, by themselves or in a list: what comes out may depend on them."""
    for each in chain(*lists):
        for number in each if isinstance(each, (tuple, list)) else (each,):
            if isinstance(number, Remembering):
                number.leave()


def _is_number(value: Any) -> bool:
    """Whether it is a whole number as a tensor, such as how many sequences go on."""
    return isinstance(value, Tensor) and not value.dim() and not value.is_floating_point()


def _of_one(first: Width, second: Width) -> bool:
    """Whether two sizes are multiples of the same part of the same channels."""
    return first.vector is second.vector and first.attribute == second.attribute and first.parts == second.parts


_opened_functions: dict[types.FunctionType, Callable[..., Any]] = {}


def _unchecked(func: types.FunctionType) -> Callable[..., Any]:
    """A twin of a function of torch that does not hand itself over to modes again."""
    if func not in _opened_functions:
        scope = {**func.__globals__, **dict.fromkeys(_CHECKS, lambda *_: False)}
        twin = types.FunctionType(func.__code__, scope, func.__name__, func.__defaults__, func.__closure__)
        twin.__kwdefaults__ = func.__kwdefaults__
        _opened_functions[func] = twin
    return _opened_functions[func]
