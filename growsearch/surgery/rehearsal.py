"""Runs of a network that can be compared: the same draws, double precision, and what saturation hides."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from growsearch.dispatch import DispatchMode
from growsearch.surgery.agreement import TOLERANCE
from growsearch.surgery.in_parts import in_parts
from growsearch.surgery.labels import Draws
from growsearch.surgery.operators import Call, name_of, rule_of, tensors_among
from growsearch.surgery.rules_gradients import convolution_backward, loss
from growsearch.surgery.rules_layers import (
    attention,
    batch_norm,
    bilinear,
    convolution,
    deformed_convolution,
    distances,
    embedding,
    group_norm,
    layer_norm,
    matrix_product,
    vector_product,
)
from growsearch.surgery.rules_matrices import distances_within, summed_up
from growsearch.surgery.rules_pointwise import distance, reduction
from growsearch.surgery.tensors import modules_of

DROPS = ("StochasticDepth", "DropPath", "DropBlock", "DropBlock2d", "DropBlock3d")


class WithoutDropout(TorchFunctionMode):
    """Makes every dropout pass its input on: a mask has the size of the channels, but no part in what is computed.

    Attributes:
        met: whether any code called for dropout.
    """

    met = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if "dropout" in name:
            self.met = True
            return args[0] if args else kwargs["input"]
        if name == "scaled_dot_product_attention" and (args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0)):
            self.met = True
            args, kwargs = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args, {**kwargs}
            kwargs.pop("dropout_p", None)
        return func(*args, **kwargs)


@contextmanager
def without_dropout(model: nn.Module, functions: bool = True) -> Iterator[WithoutDropout]:
    """Switch off dropout, dropped blocks and stochastic depth of a network that nobody else uses; compile nothing.

    Args:
        model: the network.
        functions: whether to watch for functions of dropout, which takes time; False for a network that calls none.
    """
    modules, watch = modules_of(model), WithoutDropout()
    compiled = "torch._dynamo" in sys.modules  # which whatever compiles a network or a function of its code imports
    for module in modules:
        if isinstance(module, nn.modules.dropout._DropoutNd) or type(module).__name__ in DROPS:
            module.p = module.drop_prob = 0.0  # type: ignore[assignment]
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext(), watch if functions else nullcontext():
        yield watch


@contextmanager
def own_streams(number: int = 0) -> Iterator[None]:
    """Random streams of torch, Python and numpy that begin alike for a number; the caller's are put back."""
    kept = random.getstate(), np.random.get_state()
    random.seed(number)
    np.random.seed(number)
    try:
        with torch.random.fork_rng(None if _has_accelerator() else []):  # it looks for devices each time
            _seed(number)
            yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def _seed(number: int) -> None:
    """As ``torch.manual_seed``, which notes the whole stack for devices that are not there each time."""
    (torch.manual_seed if _has_accelerator() else torch.default_generator.manual_seed)(number)


@cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()


_ENDS = (
    *(convolution, matrix_product, vector_product, bilinear, distances, attention),
    *(batch_norm, layer_norm, group_norm, reduction, embedding, deformed_convolution),
    *(convolution_backward, loss, distance, distances_within, summed_up),
)
_FACTORIES = {"zeros", "ones", "full", "empty", "rand", "randn", "linspace", "eye", "normal", "scalar_tensor"}
_MOVES = {"view", "_unsafe_view", "_reshape_alias", "clone", "permute", "transpose", "t", "expand", "alias", "detach"}
"""Operators that compute nothing; which of them run depends on the order in memory."""
_MIXES = {"convolution", "mm", "addmm"}
_FLATTENS = {"sigmoid", "tanh", "erf", "hardsigmoid"}
"""What takes large numbers to its ends, where no change of them shows."""
FLAT = 1e-6
"""A slope that hides them."""
LARGE = 1e5
"""What a layer gives that is so large hides what is put beside it; inputs have a spread of one."""
_REDUCED = (torch.float16, torch.bfloat16, torch.float32)


class Rehearsal(DispatchMode):
    """Runs a network so that only its weights and widths decide what comes out.

    A draw gives the same values for all channels, however many there are, and the same ones each time: one for each
    entry of its other dimensions, where a trace knows these, or else for each sample. Casts to lower precision stay
    in float64. What an output was computed from is kept back to the last layer, so that a clamp or an argmax hides
    nothing: each tensor holds what it came from, and each storage what was there before an operator in place, so that
    all of it goes when they go. A run that is known to be like an earlier one keeps only what that one was known by.

    What is drawn from a stream that the network's code itself has just begun is no chance, and stays as it is: with
    other widths it is something else.

    Args:
        model: the network that will run.
        batch: number of samples.
        watched: whether to look for layers that compute the same of all samples.
        draws: what a trace in this mode saw drawn, and of which dimensions an edit may change the size.
        stream: draws are others for another number.
        since: number of layers that run before anything is kept.

    Attributes:
        layers: number of layers that ran.
        dead: whether there was such a layer, as where no unit before it is active: it hides all that is before it.
        blind: whether scores of queries and keys left no trace in their softmax, as where a mask leaves one of them.
        flat: whether all that some sigmoid, tanh or softmax gave was at its ends, or a layer gave large numbers.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: int,
        watched: bool = False,
        draws: Draws | None = None,
        stream: int = 0,
        since: int = 0,
    ) -> None:
        super().__init__()
        self._batch, self._draws, self._stream = batch, 0, stream
        self._known, self._all = draws or [], 0
        self._kept: list[ref[Tensor]] = []
        self._since, self.layers = since, 0
        self._watched, self.dead, self.blind, self.flat = watched, False, False, False
        self._model, self._left = model, torch.get_rng_state()
        self._name = ""
        self._generators: dict[int, tuple[torch.Generator, Tensor, bool]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, kind = dict(kwargs or {}), _kind(func)
        if kwargs.get("dtype") in _REDUCED or (
            kind.creates and kwargs.get("dtype") is None and not isinstance(args[0], Tensor)
        ):
            fill = args[1] if name_of(func) == "full" else 0.0
            if isinstance(fill, float) or kwargs.get("dtype") is not None:
                kwargs["dtype"] = torch.float64
        inputs = tensors_among(*args, *kwargs.values())
        if kind.overwrites and inputs and self.layers >= self._since:
            inputs[0] = self._keep(inputs[0])
        if kind.draws:
            out = self._draw(func, args, kwargs)
        else:
            out = in_parts(func, args, kwargs) if kind.slides else func(*args, **kwargs)
        if kind.blank:
            out.zero_()
        if self._watched and kind.mixes and len(out) > 1 and torch.equal(out, out[:1].expand_as(out)):
            self.dead = True
        if self._watched and kind.mixes and not self.flat and out.numel():
            self.flat = not float(out.abs().max()) <= LARGE
        if self._watched and kind.softens and not self.blind:
            self.blind = self._hides(Call(func, args, kwargs, out))
        if self._watched and kind.flattens and not self.flat:
            self.flat = _is_flat(Call(func, args, kwargs, out))
        self.layers += kind.ends
        for each in tensors_among(out) if self.layers >= self._since else ():
            each._made = self.layers  # type: ignore[attr-defined]
            each._paired = kind.pairs  # type: ignore[attr-defined]
            each._sources = [] if kind.ends else [source for source in inputs if source is not each]  # type: ignore[attr-defined]
            each._moved = kind.moves  # type: ignore[attr-defined]
        return out

    def _hides(self, call: Call) -> bool:
        """Whether each row of a softmax of scores is one or zero, or all alike."""
        if rule_of(call.func) is attention:
            mask = next((call.get(name) for name in ("attn_mask", "attn_bias") if call.get(name) is not None), None)
            query, key = call["query"][:, :1, :64], call["key"][:, :1]
            scores = query @ key.transpose(-2, -1) * (call.get("scale") or query.shape[-1] ** -0.5)
            if mask is not None:
                scores = scores + (mask[:64] if mask.dim() == 2 else mask[:, :1, :64])
            shares, dim = scores.softmax(-1), -1
            known = key.shape[-2] > 1 and not call.get("is_causal")
        else:
            shares, dim = call.out, call["dim"]
            known = shares.shape[dim] > 1 and any(getattr(each, "_paired", False) for each in self.behind(call["self"]))
        most, least = shares.amax(dim), shares.amin(dim)
        return known and bool(((most > 1 - TOLERANCE) | (most - least < TOLERANCE**2)).all())

    def __exit__(self, *raised: Any) -> None:
        """A part that was overwritten came from a whole that holds it through its storage: no collector frees that."""
        for each in self._kept:
            if (before := each()) is not None:
                before._sources = []  # type: ignore[attr-defined]
        for generator, state, _ in self._generators.values():  # one outside the network goes on where it was
            generator.set_state(state)
        super().__exit__(*raised)

    def _keep(self, tensor: Tensor) -> Tensor:
        """A copy of what an operator is about to overwrite."""
        before = tensor.clone()
        before._sources, before._moved = getattr(tensor, "_sources", []), False  # type: ignore[attr-defined]
        before._made = self.layers  # type: ignore[attr-defined]
        self._kept.append(ref(before))
        storage = tensor.untyped_storage()
        storage._overwritten = [*getattr(storage, "_overwritten", []), before]  # type: ignore[attr-defined]
        return before

    def behind(self, leaf: Tensor) -> list[Tensor]:
        """An output, and all that it was computed from since the last layer."""
        return [each for each in _history(leaf) if each is leaf or not getattr(each, "_moved", True)]

    def since(self, outputs: list[Tensor]) -> int:
        """How many layers had run when the first tensor was made that is behind some outputs, or led from one to it."""
        made = (getattr(each, "_made", self.layers) for leaf in outputs for each in _history(leaf))
        return min(made, default=self.layers)

    def _draw(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._all += 1
        if self._is_begun(kwargs.get("generator")):
            return func(*args, **kwargs)
        out = self._drawn(func, args, kwargs)
        self._left = torch.get_rng_state()
        return out

    def _is_begun(self, generator: torch.Generator | None) -> bool:
        """Whether the network's code made this generator, or gave the default one a seed."""
        if generator is None:
            return not torch.equal(self._left, torch.get_rng_state())
        seed = generator.initial_seed()
        if seed not in self._generators:
            state, begun = generator.get_state(), torch.Generator(generator.device).manual_seed(seed).get_state()
            kept = [value for module in modules_of(self._model) for value in vars(module).values()]
            held = any(isinstance(value, torch.Generator) and value.initial_seed() == seed for value in kept)
            self._generators[seed] = generator, state, torch.equal(begun, state) and not held
        return self._generators[seed][2]

    def _drawn(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._draws += 1
        _seed(self._draws + 1_000_003 * self._stream)
        name = self._name = name_of(func)
        if name in ("rand", "rand_like"):
            return self._fill(func(*args, **kwargs), lambda small: small.uniform_())
        if name in ("randn", "randn_like"):
            return self._fill(func(*args, **kwargs), lambda small: small.normal_())
        if name in ("randint", "randint_like"):
            low, high = args[:2] if func._overloadname.startswith("low") else (0, args[0])
            if name == "randint_like":
                low, high = args[1:3] if func._overloadname.startswith("low") else (0, args[1])
            return self._fill(func(*args, **kwargs), lambda small: small.random_(low, high))
        if name in ("bernoulli", "bernoulli_"):
            chance = args[1] if len(args) > 1 else kwargs.get("p", args[0] if name == "bernoulli" else 0.5)
            out = args[0] if name == "bernoulli_" else torch.empty_like(args[0])
            even = torch.zeros(out.shape, dtype=torch.float64, device=out.device)
            return out.copy_(self._fill(even, lambda small: small.uniform_()) < chance)
        if name == "rrelu_with_noise":
            call = Call(func, args, kwargs, None)
            if not call["training"]:
                return func(*args, **kwargs)
            slope = self._fill(
                torch.zeros_like(args[0]), lambda small: small.uniform_(float(call["lower"]), float(call["upper"]))
            )
            return torch.where(args[0] > 0, args[0], args[0] * slope)
        if name == "normal" and not any(isinstance(each, Tensor) for each in args):
            return self._fill(func(*args, **kwargs), lambda small: small.normal_(*args[:2]))
        if name == "normal":
            mean, deviation = (*args, 1.0)[:2]
            return mean + deviation * self._fill(torch.zeros_like(mean + deviation), lambda small: small.normal_())
        if name in ("poisson", "binomial", "_standard_gamma"):
            mean = args[0] * args[1] if name == "binomial" else args[0]
            return mean * (0.5 + self._fill(torch.zeros_like(mean), lambda small: small.uniform_()))
        if name.endswith("_") and not any(isinstance(each, Tensor) for each in args[1:]):
            return self._fill(args[0], lambda small: func(small, *args[1:], **{**kwargs, "generator": None}))
        return func(*args, **kwargs)

    def _fill(self, out: Tensor, draw: Any) -> Tensor:
        """Write drawn values, the same ones for all channels."""
        _seed(self._draws + 1_000_003 * self._stream)
        name, channels = self._known[self._all - 1] if self._all <= len(self._known) else ("", ())
        if name == self._name and len(channels) == out.dim():
            shape = [1 if varies else size for varies, size in zip(channels, out.shape, strict=True)]
        else:
            shape = [size if dim == 0 and size == self._batch else 1 for dim, size in enumerate(out.shape)]
        return out.copy_(draw(out.new_empty(shape)))


def _history(leaf: Tensor) -> list[Tensor]:
    """A tensor, and all that is kept of what it was computed from."""
    found: dict[int, Tensor] = {}
    waiting = [leaf]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in found and not isinstance(tensor, nn.Parameter):
            found[id(tensor)] = tensor
            waiting += getattr(tensor, "_sources", [])
            if tensor.layout is torch.strided:
                waiting += getattr(tensor.untyped_storage(), "_overwritten", [])
    return list(found.values())


class _Kind(NamedTuple):
    """Facts of an operator that a rehearsal needs."""

    creates: bool
    blank: bool
    overwrites: bool
    draws: bool
    ends: bool
    moves: bool
    mixes: bool
    slides: bool
    softens: bool
    flattens: bool
    pairs: bool


@cache
def _kind(func: Any) -> _Kind:
    name = name_of(func)
    return _Kind(
        creates=name in _FACTORIES,
        blank="empty" in name.split("_"),  # whatever lies in its memory would be compared
        overwrites=func._schema.is_mutable,
        draws=torch.Tag.nondeterministic_seeded in func.tags,
        ends=rule_of(func) in _ENDS and not name.startswith("arg"),
        moves=name in _MOVES,
        mixes=name in _MIXES,
        slides=name == "convolution",
        softens=name in ("_softmax", "_safe_softmax") or rule_of(func) is attention,
        flattens=name.removesuffix("_") in _FLATTENS or name == "_softmax",
        pairs=name in ("bmm", "baddbmm"),
    )


def _is_flat(call: Call) -> bool:
    """Whether no entry of a result tells how large those were that it was computed from."""
    out, name = call.out, call.name.removesuffix("_")
    if name == "_softmax":
        return out.shape[call["dim"]] > 1 and bool((out.amax(call["dim"]) > 1 - FLAT).all())
    slope = out * (1 - out) if "sigmoid" in name else 1 - out.square()
    return out.numel() > 0 and bool(slope.abs().max() < FLAT)
