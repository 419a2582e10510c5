from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.options import check_options
from growsearch.data.registry import DATASETS, names, reader
from growsearch.errors import UserError

CONF = Path(__file__).parents[2] / "conf" / "data"
OWN = {"digits", "image_folder", "npz", "csv"}


def shipped(name: str, **changes: object) -> DataConfig:
    options = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    options.pop("defaults")
    merged = OmegaConf.merge(OmegaConf.structured(DataConfig), options, changes)
    config = OmegaConf.to_object(merged)
    assert isinstance(config, DataConfig)
    return config


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_ships_its_options(name: str) -> None:
    text = (CONF / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    defaults = yaml.safe_load(text)["defaults"]
    assert defaults[0] == "base_data"
    assert defaults[-1] == "_self_"
    assert ({"override /schedule@_global_.schedule": "quick"} in defaults) == (name in OWN)
    config = shipped(name)
    assert config.name == name
    check_options(config)


def test_nothing_is_shipped_that_cannot_be_read() -> None:
    assert {file.stem for file in CONF.glob("*.yaml")} == set(DATASETS)
    assert set(DATASETS) <= set(names())
    for name in DATASETS:
        assert callable(reader(name))


@pytest.mark.parametrize(("text", "value"), [("45000", 45000), ("0.1", 0.1), ("null", None)])
def test_sizes_keep_their_type(text: str, value: object) -> None:
    config = OmegaConf.merge(OmegaConf.structured(DataConfig), OmegaConf.from_dotlist([f"train_size={text}"]))
    assert config.train_size == value
    assert type(config.train_size) is type(value)


def test_digits_as_shipped() -> None:
    described = load(shipped("digits"), seed=0).describe()
    assert (described["train"], described["val"], described["test"]) == (1197, 240, 360)
    geometry = {"crop_padding": 1, "flip": False, "cutout": 0, "pad_value": "zero_pixel"}
    assert described["augmentation"] == {**geometry, "crop_scale": 0.0, "jitter": 0.0, "hue": 0.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "digit"}, "data: 'digit' is not accepted; use one of digits, "),
        ({"pool": "all"}, "data.pool: 'all' is not accepted; use train, train_extra"),
        ({"split": "thirds"}, "data.split"),
        ({"val_from": "train"}, "data.val_from"),
        ({"layout": "nhcw"}, "data.layout"),
        ({"channels": 2}, "data.channels"),
        ({"resize": 0}, "data.resize"),
        ({"crop_padding": -1}, "data.crop_padding"),
        ({"val_size": -0.5}, "data.val_size"),
        ({"normalisation": "none"}, "data.normalisation: 'none' is not accepted; use one of standard"),
        ({"path": "x"}, "data.path: 'x' is not accepted, as data=digits has no use for it"),
        ({"target": "x"}, "data.target"),
        ({"pool": "train_extra"}, "data.pool"),
        ({"root": "/no/such/place"}, "data.root: '/no/such/place' is not a folder"),
    ],
)
def test_options_that_cannot_be_meant(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(DataConfig(**options), seed=0)
    assert "\n" not in str(caught.value)
