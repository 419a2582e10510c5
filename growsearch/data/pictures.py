"""Picture files to arrays of bytes: upright, of one size, one depth and one number of channels.

Files may come from untrusted sources. Only plain raster formats are opened (Pillow would start another
program for some), and a picture that unpacks to more than Pillow's limit is an error.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from growsearch.errors import UserError
from growsearch.untrusted import parsing, require_plain

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
MOST_PIXELS = 89_478_485
"""Pillow's own limit, kept where a program has lifted it."""

START_OF_SCAN, MOST_SCANS = b"\xff\xda", 200
"""Usual progressive JPEGs have about ten."""

SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
DEEP = ("I", "F", *SIXTEEN_BIT)
"""Modes of one channel that hold more than bytes; the first is of 32-bit whole numbers, the second of floats."""

BITS, KIND, SIGNED = 258, 339, 2
"""Tags of a TIFF: bits of a sample, and what they are: 1 for whole numbers, 2 for such with a sign, 3 for floats."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners have."""

FEWEST_LEVELS = 64
"""Of 256 bytes; a range of which the pictures use less is not theirs."""


class Span(NamedTuple):
    """Values that become 0 and 255; those between are scaled linearly and rounded, those beyond are cut off."""

    low: float
    high: float


class Look(NamedTuple):
    """Channels that a picture would have as bytes, and its upright height and width, read from its header."""

    channels: int
    height: int
    width: int


Source = Path | tuple[str, bytes]
"""A file, or a name and contents (a member of an archive)."""


class Header(NamedTuple):
    """A picture's header: its :class:`Look` and more.

    Attributes:
        look: channels and size.
        depth: "bytes", one "deep" channel, or "deep colours", of which Pillow gives the upper byte each.
        several: the file holds more pictures than the first (an animation, pages).
    """

    look: Look
    depth: str
    several: bool


def read_header(source: Source) -> Header:
    """Read a picture's header.

    Raises:
        UserError: if it is no picture or too large.
    """
    with _opened(source) as image:
        # the tiles say how Pillow unpacks the file; they are gone once it has looked for EXIF data
        packed = image.mode in DEEP or image.format == "BMP"  # which has 16 bits for three colours
        colours = not packed and ";16" in str(getattr(image, "tile", ""))
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        depth = "deep" if image.mode in DEEP else "deep colours" if colours else "bytes"
        seen = Look(_channels(image), height, width)
        # a phone's JPEG holds its preview as a second picture
        return Header(seen, depth, image.format != "MPO" and getattr(image, "is_animated", False))


class Extremes(NamedTuple):
    """The least and the greatest value of a picture, and whether it holds fractions."""

    least: float
    greatest: float
    fractions: bool


def extremes(source: Source) -> Extremes:
    """Look at all values of a picture.

    Raises:
        UserError: if it is damaged or holds values that are no finite numbers.
    """
    with _opened(source) as image:
        values = _values(image, _is_unsigned(image))
        least, greatest = float(values.min()), float(values.max())
        if not math.isfinite(least) or not math.isfinite(greatest):
            raise UserError(f"{name_of(source)}: it holds values that are no finite numbers; use a picture without")
        return Extremes(least, greatest, image.mode == "F" and bool((values % 1).any()))


def require_full_range(source: Source) -> None:
    """Refuse a picture of 16 bits that a network trained on bytes would see as nearly black.

    Raises:
        UserError: if it uses less than a quarter of the range.
    """
    depth = read_header(source).depth
    if depth == "bytes":
        return
    with _opened(source) as image:
        most = 255 if depth == "deep colours" else 65535 if _uses_sixteen_bits(image) else None
        greatest = int(np.asarray(image).max()) if most is not None else 0
    if most is not None and (greatest + 1) * 256 < FEWEST_LEVELS * (most + 1):
        raise UserError(
            f"{name_of(source)}: it has 16 bits, whose upper 8 reach {greatest * 255 // most} of 255 only, but the"
            " network was trained on 8 bits; scale the picture to 8 bits, or to the full range of 16"
        )


def span_of(least: float, greatest: float) -> Span:
    """Range of deep pictures: the least of 8, 10, 12, 14 and 16 bits, 0..1 or 0..255; else their own.

    Of a range above 8 bits, of 0..1 and of 0..255 for fractions they must use a quarter.
    """
    if least >= 0 and float(greatest).is_integer() and greatest > 1:
        bits = next((bits for bits in DEPTHS if greatest < 2**bits), None)
        if bits == 8 or (bits is not None and (greatest - least) * 256 >= FEWEST_LEVELS * 2**bits):
            return Span(0.0, 2.0**bits - 1)
    for high in (1.0, 255.0):
        if least >= 0 and greatest <= high and (greatest - least) * 256 >= FEWEST_LEVELS * high:
            return Span(0.0, high)
    return Span(least, greatest if greatest > least else least + 1.0)


def decode(source: Source, channels: int, size: int | tuple[int, int] | None, span: Span | None = None) -> np.ndarray:
    """Decode one picture.

    Args:
        source: the picture.
        channels: 1 grey, 3 colour or 4 with transparency.
        size: side of a square, or (height, width); scaled to cover it and cut at the centre. None keeps the size.
        span: how a deep picture becomes bytes; None takes 16 bits to be used in full, and floats to be in 0..1.

    Returns:
        [H, W, C] uint8, turned as its EXIF orientation says.

    Raises:
        UserError: if the picture is damaged or too large, or deeper than it can be without a span.
    """
    with _opened(source) as image:
        in_full, unsigned = _uses_sixteen_bits(image), _is_unsigned(image)
        image = ImageOps.exif_transpose(image)
        if image.mode in DEEP:
            values = _values(image, unsigned).astype(np.float64)
            image = _to_bytes(values, image.mode, span or (Span(0.0, 65535.0) if in_full else None), source)
        elif image.mode == "P" and channels < 4:
            image = image.convert("RGB")
        image = image.convert(MODES[channels])
        height, width = (size, size) if isinstance(size, int) else size or (image.height, image.width)
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(image.height, image.width, channels)


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    name = name_of(source)
    with parsing(name, "damaged picture, repair or remove it"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if isinstance(source, Path):
            if source.is_symlink() and not source.exists():
                raise UserError(f"{name}: it is a link to a file that is not there; repair or remove it")
            require_plain(source)
        try:
            with Image.open(source if isinstance(source, Path) else io.BytesIO(source[1]), formats=FORMATS) as image:
                _require_limited(image, source)
                if image.mode not in DEEP and _tag(image, KIND) == SIGNED:
                    raise UserError(f"{name}: it holds numbers of 8 bits with a sign; store them without, or as 16")
                yield image
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            most = min(MOST_PIXELS, Image.MAX_IMAGE_PIXELS or MOST_PIXELS)
            raise UserError(f"{name}: it has more than {most} pixels; use a smaller picture") from error
        except UnidentifiedImageError as error:
            raise UserError(
                f"{name}: it is no picture that can be read; use one of {', '.join(FORMATS)}, a TIFF with 1, 3 or 4"
                " channels of 8 or 16 bits, or 1 of 32"
            ) from error


def _require_limited(image: Image.Image, source: Source) -> None:
    """Refuse what takes minutes to decode: very many pixels, or a progressive JPEG that draws them again and again."""
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    if image.info.get("progressive"):
        content = source.read_bytes() if isinstance(source, Path) else source[1]
        if (scans := content.count(START_OF_SCAN)) > MOST_SCANS:
            raise UserError(f"{name_of(source)}: it has {scans} scans; use a picture of at most {MOST_SCANS}")


def _uses_sixteen_bits(image: Image.Image) -> bool:
    """Whether its one channel may reach 65535 and no more; Pillow widens some such files to 32 bits."""
    return image.mode in SIXTEEN_BIT or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _is_unsigned(image: Image.Image) -> bool:
    """Whether its 32 bits are whole numbers without a sign, which Pillow takes for ones with a sign."""
    return image.mode == "I" and image.format == "TIFF" and _tag(image, BITS) == 32 and _tag(image, KIND) == 1


def _tag(image: Image.Image, number: int) -> int:
    """The first entry of a tag of a TIFF, 1 if it is not there."""
    return int(np.ravel(getattr(image, "tag_v2", {}).get(number, 1))[0])


def _values(image: Image.Image, unsigned: bool) -> np.ndarray:
    values = np.asarray(image)
    return values.view(np.uint32) if unsigned else values


def _channels(image: Image.Image) -> int:
    if image.mode in ("1", "L", *DEEP):
        return 1
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    return 4 if transparent else 3


def _to_bytes(values: np.ndarray, mode: str, span: Span | None, source: Source) -> Image.Image:
    if span is None:
        span = Span(0.0, 1.0 if mode == "F" else 255.0)
        if not (np.isfinite(values).all() and span.low <= values.min() and values.max() <= span.high):
            raise UserError(
                f"{name_of(source)}: its values go from {values.min():g} to {values.max():g}; the network "
                f"was trained on {span.low:g} to {span.high:g}"
            )
    scaled = (values - span.low) * (255.0 / (span.high - span.low))
    return Image.fromarray(np.clip(np.nan_to_num(scaled).round(), 0, 255).astype(np.uint8))


def name_of(source: Source) -> str:
    """Name of a picture in a message."""
    return str(source) if isinstance(source, Path) else source[0]
