import pytest
import torch
from torch import Tensor

from growsearch.surgery import select
from growsearch.surgery.select import selected

ENTRIES = torch.tensor([3, 0, 0, 5])


def _images(layout: torch.memory_format) -> Tensor:
    return torch.randn(6, 7, 3, 2, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)


@pytest.mark.parametrize("fresh", [0, select.FRESH])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_entries_are_those_of_torch_and_keep_their_order_in_memory(
    monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format, dim: int, fresh: int
) -> None:
    monkeypatch.setattr(select, "FRESH", fresh)
    images = _images(layout)
    taken = selected(images, dim, ENTRIES)
    assert torch.equal(taken, images.index_select(dim, ENTRIES))
    assert taken.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("fresh", [0, select.FRESH])
def test_entries_of_a_part_with_gaps_in_memory(monkeypatch: pytest.MonkeyPatch, fresh: int) -> None:
    monkeypatch.setattr(select, "FRESH", fresh)
    part = _images(torch.channels_last)[:, 1:7]
    assert torch.equal(selected(part, 1, ENTRIES), part.index_select(1, ENTRIES))


def test_memory_is_asked_for_within_the_pages_of_a_large_result(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(select, "FRESH", 0)
    monkeypatch.setattr(select, "_advice", lambda: lambda first, size, _: asked.append((first.value, size.value)))
    taken = selected(_images(torch.contiguous_format), 0, ENTRIES)
    assert len(asked) == len(select.ADVICE)
    ((first, size),) = set(asked)
    assert first % select.mmap.PAGESIZE == 0 and first <= taken.data_ptr()
    assert first + size == taken.data_ptr() + taken.nbytes
