"""Picture files to arrays of bytes: upright, of one size and one number of channels.

Files may come from strangers. Only plain raster formats are opened (Pillow would start another
program for some), and a picture that unpacks to more than Pillow's limit is an error.
"""

from __future__ import annotations

import io
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

SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "F")


class Look(NamedTuple):
    """What a picture's header says: channels it would have as bytes, and its upright height and width."""

    channels: int
    height: int
    width: int


Source = Path | tuple[str, bytes]
"""A file, or a name and contents (a member of an archive)."""


def look(source: Source) -> Look:
    """Read a picture's header.

    Raises:
        UserError: if it is no picture or too large.
    """
    with _opened(source) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        return Look(_channels(image), height, width)


def decode(source: Source, channels: int, side: int | None) -> np.ndarray:
    """Decode one picture.

    Args:
        source: the picture.
        channels: 1 grey, 3 colour or 4 with transparency.
        side: scaled to cover a square of this side and cut at the centre; None keeps the size.

    Returns:
        [H, W, C] uint8, turned as its EXIF orientation says.

    Raises:
        UserError: if the picture is damaged or too large.
    """
    with _opened(source) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode in SIXTEEN_BIT:
            image = _to_bytes(image)
        elif image.mode == "P" and channels < 4:
            image = image.convert("RGB")
        image = image.convert(MODES[channels])
        if side is not None and image.size != (side, side):
            image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(image.height, image.width, channels)


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    name = name_of(source)
    with parsing(name, "damaged picture, mend or remove it"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if isinstance(source, Path):
            require_plain(source)
        try:
            with Image.open(source if isinstance(source, Path) else io.BytesIO(source[1]), formats=FORMATS) as image:
                _require_bearable(image, source)
                yield image
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            most = min(MOST_PIXELS, Image.MAX_IMAGE_PIXELS or MOST_PIXELS)
            raise UserError(f"{name}: more than {most} pixels found, a smaller picture expected") from error
        except UnidentifiedImageError as error:
            raise UserError(f"{name}: no picture, one of {', '.join(FORMATS)} expected") from error


def _require_bearable(image: Image.Image, source: Source) -> None:
    """Refuse what takes minutes to decode: very many pixels, or a progressive JPEG that draws them again and again."""
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    if image.info.get("progressive"):
        content = source.read_bytes() if isinstance(source, Path) else source[1]
        if (scans := content.count(START_OF_SCAN)) > MOST_SCANS:
            raise UserError(f"{name_of(source)}: {scans} scans found, a picture of at most {MOST_SCANS} expected")


def _channels(image: Image.Image) -> int:
    if image.mode in ("1", "L", *SIXTEEN_BIT):
        return 1
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    return 4 if transparent else 3


def _to_bytes(image: Image.Image) -> Image.Image:
    """Sixteen bits to eight; floats of 0..1 to bytes."""
    values = np.asarray(image).astype(np.float64)
    scaled = values * 255 if image.mode == "F" else values / 257
    return Image.fromarray(np.clip(scaled.round(), 0, 255).astype(np.uint8))


def name_of(source: Source) -> str:
    """What to call a picture in a message."""
    return str(source) if isinstance(source, Path) else source[0]
