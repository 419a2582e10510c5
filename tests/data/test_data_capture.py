from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.data.augment import Augmentation, augment, draw_pass
from growsearch.data.normalise import Normalisation

ALL = Augmentation(crop_padding=2, flip=True, cutout=4)
PHOTOGRAPHS = Augmentation(flip=True, crop_scale=0.1, jitter=0.4, hue=0.1)
MEAN_PADDED = Augmentation(crop_padding=2, flip=True, cutout=4, pad_value="mean")
HOST_READS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")


class NoHostReads(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in HOST_READS, f"{name} reads data back to the host"
        booleans = name in ("index", "index_put") and any(t is not None and t.dtype == torch.bool for t in args[1])
        assert not booleans, "indexing with a mask reads data back to the host"
        return func(*args, **(kwargs or {}))


def one_batch(device: str, options: Augmentation) -> tuple[Callable[[], torch.Tensor], torch.Tensor]:
    """What a captured step does with data: it reads a position on the device and the plan at fixed addresses."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator).to(device)
    normalisation = Normalisation.measured(images.cpu()).to(device)
    plan = draw_pass(0, "train", count=40, augmentation=options, image_hw=(8, 8)).to(device)
    position = torch.zeros((), dtype=torch.int64, device=device)

    def step() -> torch.Tensor:
        rows = plan.take(position * 8 + torch.arange(8, device=device))
        return augment(images.index_select(0, rows.order), rows, normalisation, options)

    return step, position


def test_the_forbidding_mode_forbids() -> None:
    with pytest.raises(AssertionError, match="host"), NoHostReads():
        torch.ones(3).sum().item()
    with pytest.raises(AssertionError, match="host"), NoHostReads():
        _ = torch.ones(3)[torch.tensor([True, False, True])]


@pytest.mark.parametrize("options", [Augmentation(), ALL, MEAN_PADDED, PHOTOGRAPHS], ids=str)
def test_nothing_is_read_back(options: Augmentation) -> None:
    step, _ = one_batch("cpu", options)
    with NoHostReads():
        step()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", [Augmentation(), ALL, MEAN_PADDED, PHOTOGRAPHS], ids=str)
def test_a_captured_batch_equals_the_cpus(options: Augmentation) -> None:
    on_cpu, cpu_position = one_batch("cpu", options)
    on_gpu, gpu_position = one_batch("cuda", options)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        on_gpu()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        batch = on_gpu()
    for index in range(5):
        cpu_position.fill_(index)
        gpu_position.fill_(index)
        graph.replay()
        near = 1e-4 if options.crop_scale else 1e-6
        torch.testing.assert_close(batch.cpu(), on_cpu(), atol=near, rtol=near)
