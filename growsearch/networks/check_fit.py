"""Checks, before anything is trained: a network takes a data set's images, and its files will give it again."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.networks.external import External
from growsearch.networks.rebuild import rebuild
from growsearch.networks.registry import materialise
from growsearch.networks.tensors import load_module_tensors, module_tensors
from growsearch.networks.unstored import noted_numbers, unstored_weights
from growsearch.randomness import derive_seed, seed_default_generators
from growsearch.surgery.rehearsal import own_streams
from growsearch.surgery.tensors import copied
from growsearch.text import reason

SIDES = (8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)
"""Sides in pixels that are tried, least first, where a network does not take the images as they are."""


def check_fit(module: nn.Module, image_shape: Sequence[int], num_classes: int) -> None:
    """Refuse a network that cannot take the data's images, or that has another number of classes.

    Args:
        module: on the CPU, or a :func:`growsearch.networks.registry.skeleton`; it stays as it is.
        image_shape: (C, H, W).
        num_classes: of the data.

    Raises:
        UserError: if so, naming the size of images that would do if there is one.
    """
    shadow = copied(module, lambda tensor: tensor.to("meta", copy=True))
    found = misfit(shadow, image_shape, num_classes)
    if found is not None and "meta" in found.lower():  # its way through the layers depends on values
        has_values = not any(parameter.is_meta for parameter in module.parameters())
        shadow = copied(module, Tensor.clone) if has_values else materialise(shadow)
        found = misfit(shadow, image_shape, num_classes)
    if found is not None:
        sides = (side for side in SIDES if misfit(shadow, (image_shape[0], side, side), num_classes) is None)
        side = next(sides, None)
        raise UserError(f"network: {found}" + (f"; data.resize={side} would do" if side else ""))


@torch.no_grad()
def check_rebuilt(module: External, image_shape: Sequence[int]) -> None:
    """Refuse a network that its description and any weights do not give again, as a finished run's folder must.

    Layers in a plain list, and values that a constructor draws outside of parameters and buffers, are in no file.

    Args:
        module: on the CPU, with values; it stays as it is.
        image_shape: (C, H, W).

    Raises:
        UserError: if so.
    """
    if (where := unstored_weights(module.net)) is not None:
        raise UserError(
            f"network {module.name}: weights in its plain attribute {where!r} are neither trained nor stored; use"
            " nn.ModuleList, nn.ParameterList or nn.Parameter there"
        )

    def outputs(network: nn.Module) -> Tensor | None:
        with own_streams():
            output = network.eval()(images)
        return output if isinstance(output, Tensor) else None

    with own_streams():
        images = torch.rand(2, *image_shape)
        held = module_tensors(module)
        weights = {n: t + 0.1 * torch.rand_like(t) if t.is_floating_point() else t.clone() for n, t in held.items()}
        # others than a script's own np.random.seed(0), with which both would draw the same
        seed_default_generators(derive_seed(0, "built again"), torch.device("cpu"), elsewhere=True)
        try:
            again = rebuild(module.spec(), weights, module.name)
        except UserError as error:
            raise UserError(
                f"network {module.name}: it cannot be built again from its description ({error})"
            ) from error
    ours = copied(module, Tensor.clone)
    load_module_tensors(ours, weights)
    module.remarks = list(_remarks(ours, images))
    first, second, third = outputs(copied(ours, Tensor.clone)), outputs(ours), outputs(again)
    if first is None or second is None or third is None or not torch.equal(first, second):
        return  # it draws from where no seed reaches, or counts its calls
    if not torch.allclose(first, third, rtol=1e-4, atol=1e-4 * float(first.abs().max()), equal_nan=True):
        raise UserError(
            f"network {module.name}: built again with its own weights it computes something else, as its constructor"
            " draws values that are no parameters or buffers of its state_dict; keep them with register_buffer"
        )


def _remarks(module: nn.Module, images: Tensor) -> Iterator[str]:
    """What of a network that is trained a seed does not repeat, or a resumed run does not know."""
    name, found, changed = module.name, [], dict[str, None]()
    for _ in range(2):
        net = copied(module, Tensor.clone).train()
        before = noted_numbers(net)
        with own_streams():
            output = net(images)
        found.append(output[0] if isinstance(output, tuple) else output)
        changed |= {where: None for where, value in noted_numbers(net).items() if before.get(where) != value}
    if all(isinstance(each, Tensor) for each in found) and not torch.equal(*found):
        yield f"network {name} draws from where no seed reaches: two runs with one seed differ"
    if changed:
        names = ", ".join(repr(name.removeprefix("net.")) for name in changed)
        yield (
            f"network {name} changes {names} as it is trained, which is saved nowhere: a resumed run begins with"
            " it anew; keep numbers in buffers, and draw from torch's, Python's or numpy's own streams"
        )


@torch.enable_grad()
def misfit(module: nn.Module, image_shape: Sequence[int], num_classes: int) -> str | None:
    """The fault of a network for images of a shape, in train or in eval mode; None if there is none.

    Args:
        module: a copy that nobody else uses; on the meta device only shapes are looked at.
        image_shape: (C, H, W).
        num_classes: of the data.
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    shape = "x".join(map(str, image_shape))
    for training in (True, False):
        try:
            with torch.random.fork_rng(devices=[]), device:
                output = module.train(training)(torch.zeros(2, *image_shape))
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"it cannot take images of {shape} ({reason(error)})"
        pair = training and isinstance(output, tuple) and len(output) == 2
        logits, auxiliary = output if pair else (output, None)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != 2:
            kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(output).__name__
            where = f"in {'train' if training else 'eval'} mode for two images of {shape}"
            return f"its output is {kind} {where}; it must be logits of shape (2, {num_classes})"
        if auxiliary is not None and (not isinstance(auxiliary, Tensor) or auxiliary.shape != logits.shape):
            kind = tuple(auxiliary.shape) if isinstance(auxiliary, Tensor) else type(auxiliary).__name__
            return f"its second output in train mode is {kind}; it must be None or logits of shape (2, {num_classes})"
        if logits.shape[1] != num_classes:
            return f"it has {logits.shape[1]} classes, but the data have {num_classes}"
        if not all(part is None or part.is_floating_point() for part in (logits, auxiliary)):
            return f"its output is {logits.dtype} for images of {shape}; logits must be floating-point numbers"
        if training and not logits.requires_grad:
            return "its output is computed without gradients in train mode, so that it cannot be trained"
    return None
