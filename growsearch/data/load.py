"""From a configuration to a data set that is split, normalised and ready."""

from __future__ import annotations

import torch

from growsearch.data import constants
from growsearch.data.augment import Augmentation
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset, Split
from growsearch.data.normalise import Normalisation
from growsearch.data.options import check_options, image_size
from growsearch.data.raw import Raw
from growsearch.data.registry import reader
from growsearch.data.resize import resize_to_cover
from growsearch.data.root import absolute_paths, data_root
from growsearch.data.splits import carve_test, split_pool, subset
from growsearch.data.table_encoder import TableEncoder, TableSplit
from growsearch.errors import UserError

LEAST_PADDING = 8
"""Padding that images of any size may have; more than their own side would be for nothing."""

COMPUTED = ("standard", "measured", "mean_image", "unit")


def load(config: DataConfig, seed: int) -> Dataset:
    """Read, split and normalise the data set ``config.name``; the same arguments give the same images.

    Args:
        config: the options of ``data``.
        seed: the run's; draws the split unless ``config.seed`` does.

    Raises:
        UserError: for unknown names, missing or damaged files, sizes that do not fit, and data that
            cannot be trained on.
    """
    raw = read_raw(config)
    if (size := image_size(config)) is not None:
        _resize(raw, size)
    if config.crop_padding > (most := max(LEAST_PADDING, *raw.pool.images.shape[2:])):
        raise UserError(f"data.crop_padding: {config.crop_padding} is too large for these images; use at most {most}")
    notes = list(raw.notes)
    train, val, test = _split(raw, config, seed, notes)
    encoder = None
    if raw.encoder is not None:
        encoder = raw.encoder(train)
        train, val, test = encode_splits(encoder, {"train": train, "val": val, "test": test}, notes)
    elif raw.table:
        encoder = None if raw.described is None else raw.described(train)
        _scale_table(train, val, test)
    return Dataset(
        name=config.name,
        train=train,
        val=val,
        test=test,
        classes=raw.classes,
        normalisation=_normalisation(raw, config, train),
        augmentation=Augmentation(config.crop_padding, config.flip, config.cutout),
        table=raw.table,
        encoder=encoder,
        span=raw.span,
        lossy=raw.lossy,
        notes=tuple(notes),
    )


def read_raw(config: DataConfig) -> Raw:
    """Read the files, fetching what is missing, and check what they hold; relative paths are of the working directory.

    Raises:
        UserError: see :func:`load`.
    """
    check_options(config)
    config = absolute_paths(config)
    read = reader(config.name)
    data_root(config)
    try:
        raw = read(config)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise UserError(f"data {config.name}: {place}{error.strerror or error}; use a readable file") from error
    except MemoryError as error:
        raise UserError(f"data {config.name}: out of memory while reading; use a smaller data set") from error
    raw.check(config.name)
    return raw


def _split(raw: Raw, config: DataConfig, seed: int, notes: list[str]) -> tuple[Split, Split, Split]:
    split_seed = config.seed if config.seed is not None else seed
    test_seed = config.seed if config.seed is not None else 0
    pool, test = raw.pool, raw.test
    if test is None:
        rest, test_rows = carve_test(len(pool), config.test_size, seed=test_seed)
        pool, test = pool.choose(rest), pool.choose(test_rows)
        notes.append(f"No official test set: {len(test)} images were set apart, the same for every seed of a run.")
    else:
        test = test.choose(subset(len(test), config.test_size, "data.test_size", seed=test_seed))
    own_val = raw.val if config.val_from == "pool" else test
    if own_val is not None and own_val is raw.val:
        notes.append(f"The {len(own_val)} validation images are those that the files name so.")
    train_rows, val_rows = split_pool(
        len(pool),
        config.train_size,
        config.val_size,
        split=config.split,
        seed=split_seed,
        val_available=own_val is None,
    )
    if config.val_from == "test":
        notes.append("Decisions are taken on the test images, so the test accuracy is not an independent measure.")
    train = pool.choose(train_rows)
    missing = int((torch.bincount(train.labels, minlength=len(raw.classes)) == 0).sum())
    if missing:
        notes.append(f"{missing} of {len(raw.classes)} classes have no training image in this subset.")
    return train, own_val if own_val is not None else pool.choose(val_rows), test


def _resize(raw: Raw, size: tuple[int, int]) -> None:
    if raw.table:
        raise UserError(f"data.resize: {size[0]}x{size[1]} is not accepted for a table; use null")
    for split in (raw.pool, raw.val, raw.test):
        if split is not None:
            split.images = resize_to_cover(split.images, size)


def encode_splits(encoder: TableEncoder, splits: dict[str, Split], notes: list[str]) -> list[Split]:
    """Rows of a table as images, with notes on what was missing and how they are shown."""
    made = []
    for part, split in splits.items():
        assert isinstance(split, TableSplit)
        encoded = encoder(split.rows, f"{part} rows")
        notes += encoded.notes(f"{part} rows")
        made.append(Split(encoded.images, split.labels))
    notes.append(
        f"A table of {encoder.width} encoded columns is shown as a zero-padded square of"
        f" {encoder.side}x{encoder.side} in column order: that cells are neighbours means nothing."
    )
    return made


def _scale_table(train: Split, *others: Split) -> None:
    least, greatest = train.images.amin(0), train.images.amax(0)
    spread = greatest - least
    safe = torch.where(spread > 0, spread, torch.ones_like(spread))
    for split in (train, *others):
        split.images = ((split.images - least) / safe).clamp(0.0, 1.0)


def _normalisation(raw: Raw, config: DataConfig, train: Split) -> Normalisation:
    asked = config.normalisation
    published = {**raw.constants, "imagenet": constants.IMAGENET["standard"]}
    if config.name in config.constants:
        mean, std = config.constants[config.name]
        published["given"] = tuple(mean), tuple(std)
    known = [*COMPUTED, *(name for name in published if name not in COMPUTED)]
    if asked not in {*known, "given"}:
        raise UserError(f"data.normalisation: {asked!r} is not accepted; use one of {', '.join(known)}")
    if asked == "unit":
        return Normalisation.unit(train.images.shape[1])
    if asked == "mean_image":
        return Normalisation.mean_image(train.images)
    convention = asked if asked in published else "standard"
    if asked == "measured" or convention not in published:
        return Normalisation.measured(train.images)
    mean, std = published[convention]
    if len(mean) != (channels := train.images.shape[1]):
        raise UserError(
            f"data.normalisation: {asked!r} has constants of {len(mean)} channels, but the images have {channels}"
        )
    return Normalisation.constants(mean, std, f"constants of {config.name} ({convention})")
