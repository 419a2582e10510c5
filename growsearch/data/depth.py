"""The rule by which the pictures of a folder that are deeper than 8 bits become bytes: one for all, with a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from growsearch.data.decoded import decoded, digest
from growsearch.data.picture_splits import stamps
from growsearch.data.pictures import FEWEST_LEVELS, Span, extremes, span_of
from growsearch.data.root import cache_folder
from growsearch.errors import UserError
from growsearch.format import agreeing


def common_span(files: Mapping[str, list[Path]], asked: Sequence[float] | None, notes: list[str]) -> Span | None:
    """Range that deep pictures are scaled from, with notes on it; None where there are none.

    Args:
        files: pictures by their :class:`~growsearch.data.pictures.Header` depth.
        asked: ``data.range``.
        notes: takes what is to be told.

    Raises:
        UserError: if no rule fits, or ``asked`` is for nothing.
    """
    if colours := files.get("deep colours", []):
        _require_full_colours(colours)
        notes.append(
            f"{agreeing(len(colours), 'picture has', 'pictures have')} 16 bits a colour; the upper 8 are used."
        )
    deep = files.get("deep", [])
    if not deep:
        if asked is not None:
            raise UserError(f"data.range: {asked} is not accepted, as no picture is deeper than 8 bits; use null")
        return None
    found = _extremes(deep)
    least, greatest = float(found[:, 0].min()), float(found[:, 1].max())
    if asked is None:
        _require_one_unit(deep, found)
    span = span_of(least, greatest) if asked is None else Span(*asked)
    notes.append(
        f"{agreeing(len(deep), 'picture is', 'pictures are')} deeper than 8 bits, with values from {least:g} to"
        f" {greatest:g}: {span.low:g} to {span.high:g} was scaled to 0 to 255 (data.range sets another range)."
    )
    ends = found.clamp(*span)
    flat = ((ends[:, 1] - ends[:, 0]) * 255 < span.high - span.low) & (found[:, 1] > found[:, 0])
    if flat.any():
        name = deep[int(flat.nonzero()[0])].name
        few = agreeing(int(flat.sum()), "of them uses", "of them use")
        notes.append(f"{few} less than one of these 255 steps, such as {name!r}.")
    if plain := len(files.get("bytes", [])):
        notes.append(f"{agreeing(plain, 'other has', 'others have')} 8 bits, which stay as they are.")
    return span


def _require_full_colours(files: Sequence[Path]) -> None:
    """Refuse deep colours whose upper bytes, which are all that Pillow gives, say next to nothing."""
    greatest = float(_extremes(files)[:, 1].max())
    if greatest < FEWEST_LEVELS:
        raise UserError(
            f"{files[0]}: it has 16 bits a colour, of which the upper 8 reach {greatest:g} of 255 "
            "only; use pictures of 8 bits a colour, or in the full range of 16"
        )


def _require_one_unit(files: Sequence[Path], found: torch.Tensor) -> None:
    """Refuse shares of 1 beside values of more than 8 bits, which no range brings together."""
    least, greatest, fractions = found.T
    shares = (least >= 0) & (greatest <= 1) & (fractions > 0)
    if shares.any() and float(greatest.max()) > 255:
        one, other = files[int(shares.nonzero()[0])], files[int(greatest.argmax())]
        raise UserError(
            f"{one}: its values lie between 0 and 1, those of {other} reach {float(greatest.max()):g}; use pictures of"
            " one range, or set data.range"
        )


def _extremes(files: Sequence[Path]) -> torch.Tensor:
    """:class:`~growsearch.data.pictures.Extremes` of each, [N, 3] float64; looked at once and kept."""

    def build() -> dict[str, torch.Tensor]:
        return {"ends": torch.tensor([extremes(file) for file in files], dtype=torch.float64)}

    place, name = cache_folder() / "derived", f"extremes-{digest(*stamps(files))}"
    return decoded(place, name, {"ends": len(files)}, build)["ends"]
