"""Pictures deeper than 8 bits keep their depth by a rule that is told, or are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.load import load
from growsearch.data.normalise import Normalisation
from growsearch.data.pictures import Span, decode, extremes, read_header, span_of
from growsearch.deploy import Preprocessing, preprocessing_of
from growsearch.errors import UserError

Make = Callable[[np.random.Generator], np.ndarray]


def folder_of(place: Path, make: Make, suffix: str = "tiff", each: int = 6) -> Path:
    draws = np.random.default_rng(0)
    for name in ("a", "b"):
        (place / name).mkdir(parents=True)
        for index in range(each):
            Image.fromarray(make(draws)).save(place / name / f"{index}.{suffix}")
    return place


def loaded(place: Path, **options: object) -> Dataset:
    return load(DataConfig(name="image_folder", path=str(place), val_size=0.2, **options), seed=0)  # type: ignore[arg-type]


def integers(low: int, high: int, dtype: type) -> Make:
    return lambda draws: draws.integers(low, high, (16, 16)).astype(dtype)


def floats(low: float, high: float) -> Make:
    return lambda draws: (low + (high - low) * draws.random((16, 16))).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (integers(0, 1024, np.uint16), 0, 1023),
        (integers(0, 4096, np.uint16), 0, 4095),
        (integers(0, 16384, np.uint16), 0, 16383),
        (integers(0, 65536, np.uint16), 0, 65535),
        (integers(0, 256, np.int32), 0, 255),
        (integers(0, 4096, np.int32), 0, 4095),
        (integers(-1000, 1001, np.int32), -1000, 1000),
        (integers(-1024, 3072, np.int32), -1024, 3071),
        (integers(0, 10**6, np.int32), 0, 10**6),
        (integers(30000, 31000, np.uint16), 30000, 30999),
        (integers(2000, 2900, np.int32), 2000, 2899),
        (floats(0, 1), 0, 1),
        (floats(0, 255), 0, 255),
        (floats(-1, 1), -1, 1),
        (floats(0, 0.01), 0, 0.01),
        (floats(300, 301), 300, 301),
    ],
)
def test_depth_is_kept_and_the_rule_is_told(make: Make, low: float, high: float, tmp_path: Path) -> None:
    data = loaded(folder_of(tmp_path / "d", make))
    assert data.span == (pytest.approx(low, abs=(high - low) / 100), pytest.approx(high, rel=0.01, abs=0.01))
    assert len(data.train.images.unique()) > 200
    (told,) = [note for note in data.notes if "deeper than 8 bits" in note]
    assert told.startswith("12 pictures are deeper than 8 bits, with values from ")
    assert f"{data.span.low:g} to {data.span.high:g} was scaled to 0 to 255" in told


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_sixteen_bits_in_full_are_what_they_were(suffix: str, tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32767, 65534, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    for span in (None, Span(0, 65535)):
        found = decode(tmp_path / f"a.{suffix}", 1, None, span)[0, :, 0].tolist()
        assert found == [0, 0, 1, 1, 127, 255, 255]


def test_bytes_need_no_rule(tmp_path: Path) -> None:
    data = loaded(folder_of(tmp_path / "d", integers(0, 256, np.uint8), "png"))
    assert data.span is None
    assert not any("bits" in note for note in data.notes)


def test_a_window_may_be_asked_for(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(-1000, 1000, np.int32))
    data = loaded(place, range=[-160, 240])
    assert data.span == (-160, 240)
    assert 0.7 < float(((data.train.images == 0) | (data.train.images == 255)).float().mean()) < 0.9
    with pytest.raises(UserError, match=r"data\.range: \[240, -160\] is not accepted; use \[low, high\]"):
        loaded(place, range=[240, -160])
    with pytest.raises(UserError, match=r"data\.range: .*data=digits has no use for it"):
        load(DataConfig(range=[0.0, 1.0]), seed=0)
    with pytest.raises(UserError, match=r"data\.range: \[0, 9\] is not accepted, as no picture is deeper than 8 bits"):
        loaded(folder_of(tmp_path / "bytes", integers(0, 256, np.uint8), "png"), range=[0, 9])


def test_shares_of_one_beside_deep_values_are_refused(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(0, 4096, np.uint16))
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)).save(place / "a" / "9.tiff")
    told = r"a/9\.tiff: its values lie between 0 and 1, those of .* reach 40\d\d; use pictures of one range, or set"
    with pytest.raises(UserError, match=told):
        loaded(place)
    data = loaded(place, range=[0, 4095])
    assert "1 of them uses less than one of these 255 steps, such as '9.tiff'." in data.notes


def test_pictures_of_8_bits_among_deep_ones_are_told(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(-1000, 1000, np.int32))
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(place / "a" / "9.png")
    data = loaded(place)
    assert "1 other has 8 bits, which stay as they are." in data.notes


@pytest.mark.parametrize("suffix", ["gif", "tiff", "png", "webp"])
def test_of_several_pictures_in_a_file_the_first_is_used(suffix: str, tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(0, 256, np.uint8), "png", each=3)
    first, *others = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (10, 200, 100))
    first.save(place / "a" / f"9.{suffix}", save_all=True, append_images=others)
    assert f"1 file holds several pictures, such as '9.{suffix}'; the first is used." in loaded(place).notes
    assert abs(int(decode(place / "a" / f"9.{suffix}", 1, None).max()) - 10) < 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", floats(0, 1))
    broken = np.zeros((16, 16), np.float32)
    broken[3, 3] = value
    Image.fromarray(broken).save(place / "b" / "2.tiff")
    with pytest.raises(UserError, match=r"b/2\.tiff: it holds values that are no finite numbers"):
        loaded(place)


def colours(draws: np.random.Generator, high: int) -> bytes:
    """A PNG of 16 bits a colour, which Pillow reads and does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = draws.integers(0, high, (16, 16, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, kind: int, photometric: int = 1) -> bytes:
    """A TIFF of forms that Pillow does not write: ``kind`` 1 for numbers without a sign, 2 for such with one."""
    import struct

    samples, bits = (values.shape[2] if values.ndim == 3 else 1), values.itemsize * 8
    held = values.tobytes()
    end = 8 + len(held)
    depths = struct.pack("<4H", *[bits] * 4)  # of each of several samples, behind the list of tags
    numbers = [16, 16, bits, 1, photometric, 8, samples, 16, len(held), kind]
    tags = b""
    for tag, number in zip((256, 257, 258, 259, 262, 273, 277, 278, 279, 339), numbers, strict=True):
        several = tag == 258 and samples > 1
        place = end + 2 + 12 * len(numbers) + 4 if several else number
        tags += struct.pack("<HHII", tag, 3 if several else 4, samples if several else 1, place)
    return b"II*\0" + struct.pack("<I", end) + held + struct.pack("<H", len(numbers)) + tags + bytes(4) + depths


def test_numbers_of_32_bits_without_a_sign_keep_their_upper_half(tmp_path: Path) -> None:
    values = np.linspace(0, 4e9, 256).astype(np.uint32).reshape(16, 16)
    (tmp_path / "deep.tif").write_bytes(tiff(values, 1))
    found = extremes(tmp_path / "deep.tif")
    assert (found.least, found.greatest) == (0, 4e9)
    image = decode(tmp_path / "deep.tif", 1, None, Span(0, 4e9))
    assert image.flatten().tolist() == list(range(256))
    (tmp_path / "signed.tif").write_bytes(tiff(values.view(np.int32), 2))
    assert extremes(tmp_path / "signed.tif").least < 0


def test_bytes_with_a_sign_are_refused(tmp_path: Path) -> None:
    (tmp_path / "signed.tif").write_bytes(tiff(np.arange(256).astype(np.int8).reshape(16, 16), 2))
    for read in (read_header, lambda file: decode(file, 1, None)):
        with pytest.raises(UserError, match="numbers of 8 bits with a sign"):
            read(tmp_path / "signed.tif")


@pytest.mark.parametrize(("samples", "photometric"), [(3, 2), (4, 5)])
def test_deep_colours_of_printers_are_deep_colours(samples: int, photometric: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (16, 16, samples)).astype("<u2")
    (tmp_path / "deep.tif").write_bytes(tiff(values, 1, photometric))
    assert read_header(tmp_path / "deep.tif").depth == "deep colours"


def test_bitmaps_of_16_bits_a_pixel_are_bytes(tmp_path: Path) -> None:
    import struct

    pixels = np.arange(256, dtype="<u2").tobytes()
    header = struct.pack("<IiiHHIIiiIIIII", 40, 16, 16, 1, 16, 3, len(pixels), 0, 0, 0, 0, 0xF800, 0x7E0, 0x1F)
    place = 14 + len(header)
    (tmp_path / "a.bmp").write_bytes(b"BM" + struct.pack("<IHHI", place + len(pixels), 0, 0, place) + header + pixels)
    assert read_header(tmp_path / "a.bmp").depth == "bytes"


@pytest.mark.parametrize(("high", "refused"), [(65536, False), (4096, True)])
def test_deep_colours(high: int, refused: bool, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for index in range(6):
            (tmp_path / "d" / name / f"{index}.png").write_bytes(colours(draws, high))
    if refused:
        with pytest.raises(UserError, match="it has 16 bits a colour, of which the upper 8 reach 15 of 255 only"):
            loaded(tmp_path / "d")
    else:
        data = loaded(tmp_path / "d")
        assert any("12 pictures have 16 bits a colour; the upper 8 are used" in note for note in data.notes)
        assert len(data.train.images.unique()) == 256


def test_streamed_and_resident_pictures_are_scaled_alike(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(0, 4096, np.uint16))
    resident, streamed = (loaded(place, resize=8, stream=how, workers=0) for how in ("never", "always"))
    rows = torch.arange(len(resident.train))
    assert torch.equal(streamed.train.take(rows).images, resident.train.images)


def test_a_new_picture_is_scaled_as_those_of_the_run_were(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "d", integers(0, 4096, np.uint16))
    config = DataConfig(name="image_folder", path=str(place), val_size=0.2)
    made = preprocessing_of(load(config, 0), config)
    made.save(tmp_path)
    read = Preprocessing.load(tmp_path)
    assert read.span == (0, 4095)
    file = place / "a" / "0.tiff"
    expected = torch.from_numpy((np.asarray(Image.open(file)) / 4095 * 255).round().astype(np.uint8))
    assert torch.equal(read.read(file)[0], expected)
    dark = np.full((16, 16), 100, np.uint16)
    Image.fromarray(dark).save(tmp_path / "dark.tiff")
    assert read.read(tmp_path / "dark.tiff").unique().tolist() == [6]


def test_a_deep_picture_for_a_network_of_bytes(tmp_path: Path) -> None:
    trained_on_bytes = Preprocessing((1, 16, 16), ("a", "b"), Normalisation.unit(1))
    Image.fromarray(np.full((16, 16), 0.5, np.float32)).save(tmp_path / "half.tiff")
    assert trained_on_bytes.read(tmp_path / "half.tiff").unique().tolist() == [128]
    Image.fromarray(np.full((16, 16), -500, np.int32)).save(tmp_path / "air.tiff")
    with pytest.raises(
        UserError, match=r"air\.tiff: its values go from -500 to -500; the network was trained on 0 to 255"
    ):
        trained_on_bytes.read(tmp_path / "air.tiff")


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_few_of_16_bits_for_a_network_of_bytes(suffix: str, tmp_path: Path) -> None:
    trained_on_bytes = Preprocessing((1, 16, 16), ("a", "b"), Normalisation.unit(1))
    for greatest, refused in ((4095, True), (65535, False)):
        file = tmp_path / f"{greatest}.{suffix}"
        Image.fromarray(np.linspace(0, greatest, 256).astype(np.uint16).reshape(16, 16)).save(file)
        if refused:
            with pytest.raises(UserError, match="it has 16 bits, whose upper 8 reach 15 of 255 only, but the network"):
                trained_on_bytes.read(file)
        else:
            assert int(trained_on_bytes.read(file).max()) == 255
    (tmp_path / "colours.png").write_bytes(colours(np.random.default_rng(0), 4096))
    with pytest.raises(UserError, match="whose upper 8 reach 15 of 255 only"):
        trained_on_bytes.read(tmp_path / "colours.png")


@pytest.mark.parametrize("span", [[0], [1, 1], ["a", "b"], [float("nan"), 1], 3])
def test_a_damaged_span_is_refused(span: object, tmp_path: Path) -> None:
    import json

    Preprocessing((1, 8, 8), ("a", "b"), Normalisation.unit(1)).save(tmp_path)
    file = tmp_path / "preprocessing.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "span": span}))
    with pytest.raises(UserError, match="not the preprocessing of a run"):
        Preprocessing.load(tmp_path)


def test_extremes_and_spans(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-3, 7]], np.int32)).save(tmp_path / "a.tiff")
    assert extremes(tmp_path / "a.tiff") == (-3, 7, False)
    Image.fromarray(np.array([[0, 0.5]], np.float32)).save(tmp_path / "b.tiff")
    assert extremes(tmp_path / "b.tiff") == (0, 0.5, True)
    assert span_of(5, 5) == (0, 255)
    assert span_of(700, 700) == (700, 701)
    assert span_of(0, 256) == (0, 1023)
    assert span_of(-5, -5) == (-5, -4)
    assert span_of(0, 0) == (0, 1)
