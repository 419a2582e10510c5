"""Run a network once in each mode on the meta device and collect the labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from itertools import zip_longest
from operator import itemgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.amp.autocast_mode import autocast
from torch.distributions import Distribution
from torch.fx.experimental import _config as symbolic
from torch.utils import _pytree as pytree

from growsearch.dispatch import DispatchMode, carry_out
from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery import (  # noqa: F401  (the rules enter themselves)
    rules_gradients,
    rules_layers,
    rules_matrices,
    rules_numbers,
    rules_pointwise,
    rules_shapes,
    rules_slices,
)
from growsearch.surgery.attributes import Attributes
from growsearch.surgery.chance import Ways, skewed, skewed_streams
from growsearch.surgery.comparisons import EntriesCounted, noted
from growsearch.surgery.hooks import has_hooks
from growsearch.surgery.interface import as_arguments, output_leaves, put_into, refuse_shared, refuse_unsuitable
from growsearch.surgery.known import is_filled, value_of
from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.modes import modes_asked, switch
from growsearch.surgery.operators import Call, aten, mapped, name_of, rule_of, tensors_among, unknown
from growsearch.surgery.rehearsal import own_streams, without_dropout
from growsearch.surgery.rules_layers import convolution, matrix_product, packed
from growsearch.surgery.rules_numbers import counts, masked, pick, put_at
from growsearch.surgery.rules_pointwise import along_a_dimension, pointwise
from growsearch.surgery.sizes import Sizes, mark_attributes, mark_layers
from growsearch.surgery.tensors import copied, modules_of, named, owner, places, tensors_inside
from growsearch.surgery.written import read_code


class _Watch(DispatchMode):
    """Pushes labels through every operator that runs under it."""

    def __init__(self, labels: LabelTrace, ways: Ways, own: dict[int, str], counted: EntriesCounted) -> None:
        super().__init__()
        self.labels, self.ways, self.own, self.counted = labels, ways, own, counted
        self.moved: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.counted.needed:
            return self._follow(func, args, kwargs or {})
        with self.counted.paused():
            return self._follow(func, args, kwargs or {})

    def _follow(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Carry an operator out, and label what comes out."""
        rule = rule_of(func)
        inputs = tensors_among(*args, *kwargs.values())
        if rule is packed:
            args = self._with_lengths(*args)
            inputs = tensors_among(*args)
        elif rule is pick or rule is put_at:  # which look at masks
            refuse_shared(self.own, inputs)
        elif elsewhere := [each for each in inputs if not each.is_meta]:
            args, kwargs = self._on_meta(args, kwargs, inputs, elsewhere)
            inputs = tensors_among(*args, *kwargs.values())
        first = next((each for each in args if isinstance(each, Tensor)), None)
        if first is not None and func is aten._local_scalar_dense.default and id(first) in self.labels.values:
            return self.labels.read(first).item()
        known = first is None or id(first) in self.labels.values or is_filled(func, first, self.labels)
        value = value_of(func, args, kwargs, inputs, self.labels, self.ways.runs) if known else None
        if self.ways.runs and isinstance(value, Tensor) and name_of(func) in ("rand", "rand_like"):
            value = skewed(value, self.ways.runs)
        if func is aten.add_.Tensor and isinstance(value, Tensor) and first is not None and not first.dim():
            self.labels.settle(inputs)  # a counter of passes, as each batch norm has one
            self.labels.note(func, inputs)
            self.ways.note(func, inputs)
            return first
        if rule is unknown and func._can_decompose():
            with self:
                return func.decompose(*args, **kwargs)
        try:
            out = carry_out(func, args, kwargs, inputs)
        except NotImplementedError:
            if isinstance(value, Tensor):
                real = value
            elif rule is masked:
                real = _all_picked(*args)
            elif rule in (pointwise, counts):
                real = func(*mapped(_zeros, args), **kwargs)
            else:
                raise
            out = pytree.tree_map(lambda leaf: leaf.to("meta"), real)
        made = tensors_among(out)
        if known:
            for tensor, entries in zip_longest(made, tensors_among(value)):
                if tensor is not None:
                    self.labels.give_value(tensor, entries)
        call = Call(func, args, kwargs, out, inputs)
        if self.labels.defers and call.name not in _SHAPED:
            self.labels.settle(call.inputs)
        rule(self.labels, call)
        self.labels.note(func, made)
        self.ways.note(func, call.inputs)
        if call.draws and isinstance(out, Tensor):
            self.labels.draws.append((call.name, out))
        if self.labels.hands_on:
            self.labels.hand_on(call.inputs, out, rule not in (along_a_dimension, matrix_product, convolution))
        if rule is convolution:
            self.labels.results.note_windows(call["weight"], out)
        return out

    def _on_meta(self, args: Any, kwargs: Any, tensors: list[Tensor], real: list[Tensor]) -> Any:
        """Arguments with constants of the code, which lie elsewhere, moved to the tensors of the meta device."""
        refuse_shared(self.own, real)
        constants = [each for each in real if each.dim()]
        if not constants or len(constants) == len(tensors):
            return args, kwargs
        for each in constants:
            if id(each) not in self.moved:
                spread = 0 in each.stride()  # which says that a mask does not tell places apart
                empty = (
                    torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device="meta") if spread else None
                )
                self.moved[id(each)] = each, _without_values(each) if empty is None else empty
                self.labels.give_value(self.moved[id(each)][1], each)
        known = {number: moved for number, (_, moved) in self.moved.items()}
        return pytree.tree_map(lambda leaf: known.get(id(leaf), leaf), (tuple(args), kwargs))

    def _with_lengths(self, sequences: Tensor, lengths: Tensor, first: bool) -> tuple[Any, ...]:
        """Arguments of a packing whose lengths have values: the greatest, where they are not known."""
        longest = torch.full(lengths.shape, sequences.shape[1 if first else 0], dtype=torch.int64, device="cpu")
        return sequences, self.labels.values.get(id(lengths), longest) if lengths.is_meta else lengths, first


def _all_picked(x: Tensor, mask: Tensor) -> Tensor:
    """What a mask picks that says yes everywhere."""
    return x.new_empty(torch.broadcast_shapes(x.shape, mask.shape).numel())


def _zeros(leaf: Any) -> Any:
    """What an operator that the meta device lacks is carried out with, where only the shape of its result matters."""
    return torch.zeros(leaf.shape, dtype=leaf.dtype, device="cpu") if isinstance(leaf, Tensor) else leaf


_SHAPED = {"rand_like", "randn_like", "zeros_like", "ones_like", "full_like", "empty_like"}
"""Operators that use the shape of a tensor and not its entries."""


def _without_values(tensor: Tensor) -> Tensor:
    """On the meta device, dense and contiguous: torch lays out channels last in Python, which imports SymPy."""
    dense = tensor if tensor.layout is torch.strided else torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    return dense.to("meta", memory_format=torch.contiguous_format)


def trace(
    model: nn.Module,
    example: Tensor | tuple[Any, ...],
    heads: bool = False,
    whole: frozenset[str] = frozenset(),
    shortest: bool = False,
    held: bool = False,
) -> LabelTrace:
    """Push labels through ``model(example)`` in train and in eval mode; once, where its code does not ask which it is.

    Only shapes and operators are looked at: a copy runs on the meta device, so neither weights nor
    statistics nor random streams are touched. Auxiliary heads that run in train mode alone are seen.
    Hooks are not run. For the other arguments see :class:`~growsearch.surgery.labels.LabelTrace`.

    Raises:
        UserError: if the network cannot run so, as when its control flow depends on values, if its
            weights are computed by hooks, if its output is in a container that cannot be searched, or if it
            cannot be copied.
    """
    refuse_unsuitable(model, example)
    try:
        shadow = copied(model, _without_values, hooks=False)
    except Exception as error:
        if is_lack_of_memory(error):
            raise
        raise UserError(
            f"channel map of {type(model).__name__}: {describe(error)}; it needs a network that copy.deepcopy copies"
        ) from error
    parts = named(shadow)
    modules = [module for _, module in parts]
    mark_attributes(parts, heads)
    ours, theirs = places(shadow), places(model)
    own = {id(tensor): names[0] for tensor, names in theirs if not tensor.is_meta}
    refuse_shared(own, (tensor for tensor, _ in ours))
    labels = LabelTrace({names[0]: tensor for tensor, names in ours}, heads, whole, shortest, held)
    mark_layers(modules, labels)
    twins = [(names[0], tensor, twin) for (tensor, names), (twin, _) in zip(ours, theirs, strict=True)]
    _know_flags(labels, twins)
    attributes = Attributes(shadow, parts)
    _freeze_held(labels, attributes)
    _freeze_overlapping(labels, twins)
    labels.code = read_code(model)
    for module in modules:
        if isinstance(module, nn.modules.conv._ConvNd):
            for tensor in (*module._parameters.values(), *_originals(module)):
                for kernel in labels.get(tensor)[2:] if tensor is not None else ():
                    labels.freeze(kernel, "kernel size")
    with torch.no_grad(), torch.device("meta"), own_streams(), without_dropout(shadow, False), _unchecked():
        attributes.remember()
        buffers = [(each, name, held) for each in modules for name, held in each._buffers.items()]
        gives = False
        for training in (True, False):
            ways, labels.chosen = Ways(modules_of(shadow)), False
            for way, _ in enumerate(ways):
                output, asked = _passed(model, shadow, example, training, labels, ways, own, heads)
                outputs = [leaf for leaf in output_leaves(output) if isinstance(leaf, Tensor)]
                gives, ways.read = gives or bool(outputs), labels.chosen
                labels.settle(outputs)
                drawn = labels.drawn()
                labels.drawn_in[training] = labels.drawn_in[training] if way else drawn
                labels.leave(outputs)
                left = attributes.left(training)
                kept = any(each is not None for tensor in left.tensors for each in labels.get(tensor))
                labels.keeps = labels.keeps or kept or left.size
            _join_rebound(labels, buffers)
            labels.chance = labels.chance or ways.parted
            if not (asked or left.tensors or labels.drawn_in[training] or left.changed):
                labels.drawn_in[False] = []  # it would run in eval mode as it did
                break
    if not gives:
        kind = type(model).__name__
        raise UserError(
            f"channel map of {kind}: its output holds no tensor; trace a module that returns what it computes"
        )
    labels.measure_compared()
    _freeze_conflicts(labels, shadow)
    return labels


def _passed(
    model: nn.Module,
    shadow: nn.Module,
    example: Tensor | tuple[Any, ...],
    training: bool,
    labels: LabelTrace,
    ways: Ways,
    own: dict[int, str],
    heads: bool,
) -> tuple[Any, set[type[nn.Module]]]:
    """One run of a network's shadow: its output, with what it put into its inputs, and who asked for the mode."""
    inputs = as_arguments(example, "meta", None)
    known = [*tensors_inside(inputs)]
    for place, leaf in enumerate(pytree.tree_leaves(inputs)):
        if isinstance(leaf, Tensor) and leaf.dtype in (torch.int32, torch.int64):
            labels.give(leaf, place)
        if isinstance(leaf, Tensor) and leaf.dim() > 1:
            vector = labels.fixed(leaf.shape[1], "network input")
            labels.put(leaf, (None, vector, *[None] * (leaf.dim() - 2)))
    try:
        modules = modules_of(shadow)
        switch(shadow, modules, training)
        noting, counted = noted(labels.comparisons, labels.code.compared), EntriesCounted(labels.code.counts)
        with (
            modes_asked(modules, heads) as asked,
            Sizes(labels, counted.unseen),
            _Watch(labels, ways, own, counted),
            noting,
            skewed_streams(ways.runs),
            counted,
        ):
            output = shadow(*inputs)
    except Exception as error:
        if is_lack_of_memory(error) or isinstance(error, UserError):
            raise
        needs = (
            "it must take the example in train and in eval mode (in place of a detector, trace a module that "
            "returns the outputs of its backbone and heads)"
        )
        by_name = [each for each in signature(shadow.forward).parameters.values() if each.kind is each.KEYWORD_ONLY]
        if any(each.default is each.empty for each in by_name):
            needs = "inputs are given by their places; trace a module that passes them on by their names"
        elif "meta" in str(error).lower():
            needs = "it needs a forward pass that runs without values (no control flow that depends on them)"
        elif has_hooks(model):
            needs += "; its hooks are not run"
        raise UserError(f"channel map of {type(model).__name__}: {describe(error)}; {needs}") from error
    return (output, put_into(inputs, known)), asked


@contextmanager
def _unchecked() -> Iterator[None]:
    """Distributions do not look at their parameters, and autocast may be switched on and off on the meta device.

    A mask says yes everywhere: how many entries it picks is no number of channels.
    """
    validates, begin, assumes = Distribution._validate_args, autocast.__init__, symbolic.meta_nonzero_assume_all_nonzero

    def begin_anywhere(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        begin(self, "cpu" if device_type == "meta" else device_type, *args, **kwargs)

    Distribution._validate_args, autocast.__init__ = False, begin_anywhere  # type: ignore[method-assign]
    symbolic.meta_nonzero_assume_all_nonzero = True
    try:
        yield
    finally:
        symbolic.meta_nonzero_assume_all_nonzero = assumes
        Distribution._validate_args, autocast.__init__ = validates, begin  # type: ignore[method-assign]


Twins: TypeAlias = list[tuple[str, Tensor, Tensor]]  # name of each tensor, the copy's and the network's own


def _join_rebound(labels: LabelTrace, buffers: list[tuple[nn.Module, str, Tensor | None]]) -> None:
    """Let buffers have the channels of what a run put in their places: the next run may read either."""
    for module, name, old in buffers:
        new = module._buffers.get(name)
        if old is not None and new is not None and new is not old and new.shape == old.shape:
            for ours, theirs in zip(labels.get(old), labels.get(new), strict=True):
                if ours is not None and theirs is not None:
                    labels.join(ours, theirs)


def _freeze_held(labels: LabelTrace, attributes: Attributes) -> None:
    """Freeze tensors that plain attributes hold too: an edit puts new ones in the modules' places alone."""
    for where, tensor in attributes.held:
        if (origin := labels.origin(tensor)) is not None:
            labels.freeze_all([tensor], f"{origin[0]} is also held by the plain attribute {where}")


def _know_flags(labels: LabelTrace, twins: Twins) -> None:
    """Note the values of flags and counters that a network holds, which its code may ask for."""
    for _, ours, theirs in twins:
        if theirs.numel() == 1 and not (theirs.is_floating_point() or theirs.is_complex() or theirs.is_meta):
            labels.give_value(ours, theirs.detach().to("cpu", copy=True))


def _freeze_overlapping(labels: LabelTrace, twins: Twins) -> None:
    """Freeze tensors of one memory that are not one tensor: an edit would part them. Sparse ones are never edited."""
    spans: list[tuple[int, int, str, Tensor]] = []
    for name, ours, theirs in twins:
        if theirs.layout is not torch.strided:
            labels.freeze_all([ours], "a sparse tensor")
        elif theirs.numel() and not theirs.is_meta:
            start, entries = theirs.data_ptr(), theirs.numel()
            if not theirs.is_contiguous():
                entries = sum((size - 1) * step for size, step in zip(theirs.shape, theirs.stride(), strict=True)) + 1
            spans.append((start, start + entries * theirs.element_size(), name, ours))
    reached, last = 0, ("", torch.empty(0))
    for start, end, name, tensor in sorted(spans, key=itemgetter(0, 1)):
        if start < reached:
            labels.freeze_all([last[1], tensor], f"{last[0]} and {name} share their memory, which an edit would part")
        if end > reached:
            reached, last = end, (name, tensor)


def _originals(module: nn.Module) -> list[Tensor]:
    """What the weight of a layer is computed from by ``torch.nn.utils.parametrize``."""
    computed = getattr(module, "parametrizations", {})
    return list(computed["weight"].parameters(recurse=False)) if "weight" in computed else []


def _freeze_conflicts(labels: LabelTrace, model: nn.Module) -> None:
    """Freeze what no edit could keep exact: it would have to scale a shared weight or tell code its group count."""
    for (name, dim), roles in list(labels.roles.items()):
        if "consumer" in roles and len(roles) > 1:
            reason = f"{name} both reads these channels and is used otherwise"
            labels.freeze(labels.axes[name, dim], reason, Bond.CUT)
        alone = "depthwise" in roles and (name, dim) not in labels.grouped
        if alone and not isinstance(owner(model, name)[0], nn.modules.conv._ConvNd):
            labels.freeze(labels.axes[name, dim], f"functional depthwise convolution with {name}")


def describe(error: Exception) -> str:
    """An exception in one short line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:160]
