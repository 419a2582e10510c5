"""A stranger's description of a network fetches nothing, starts nothing and asks for no more than its weights."""

import json
import sys
import types
import urllib.request
from pathlib import Path

import pytest
import safetensors.torch
import torch
from attacks.stranger import refused
from torch import nn

import growsearch
from growsearch.cli import main
from growsearch.deploy import save_network
from growsearch.networks import build
from growsearch.networks.builders import SMALL, SmallOnCpu
from growsearch.networks.external import External
from growsearch.networks.registry import skeleton

NAME = "torchvision/shufflenet_v2_x0_5"


def spec_of(name: str, **arguments: object) -> dict:
    return {"family": "external", "name": name, "arguments": {"num_classes": 5, **arguments}}


@pytest.fixture(scope="module")
def shuffle() -> nn.Module:
    return build(spec_of(NAME))


@pytest.fixture
def folder(shuffle: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The network of a run; any use of the network ends the test."""

    def reach_out(*words: object, **more: object) -> None:
        raise AssertionError(f"the network was used: {words}")

    monkeypatch.setattr(urllib.request, "urlopen", reach_out)
    monkeypatch.setattr("socket.socket.connect", reach_out)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    save_network(tmp_path / "network", shuffle, shuffle.spec())
    return tmp_path


def change(folder: Path, **changes: object) -> None:
    path = folder / "network" / "architecture.json"
    spec = json.loads(path.read_text())
    path.write_text(json.dumps({**spec, **changes}))


@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained": True},
        {"weights": "DEFAULT"},
        {"weights": None},
        {"weights_backbone": "DEFAULT"},
        {"progress": True},
        {"checkpoint_path": "/etc/passwd"},
        {"norm_layer": "os.system"},
    ],
)
def test_arguments_that_do_more_than_choose_sizes_are_refused(arguments: dict, folder: Path) -> None:
    assert isinstance(growsearch.load(folder), nn.Module)
    change(folder, arguments={"num_classes": 5, **arguments})
    with refused(f"network.arguments.{next(iter(arguments))} is not accepted"):
        growsearch.load(folder)
    assert not (folder / "torch_home").exists()


@pytest.mark.parametrize("size", [10**6, [32, 10**5], "large"])
def test_sizes_of_images_are_bounded(size: object, folder: Path) -> None:
    change(folder, name="torchvision/vit_b_16", arguments={"image_size": size})
    with refused("use at most 1024 pixels"):
        growsearch.load(folder)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained": True},
        {"checkpoint_path": "a.pth"},
        {"pretrained_cfg": {"url": "http://a"}},
        {"cache_dir": "/"},
        {"url": "a"},
    ],
)
def test_timm_fetches_nothing(name: str, arguments: dict, folder: Path) -> None:
    pytest.importorskip("timm")
    change(folder, name=f"timm/{name}", arguments=arguments)
    with refused("network.arguments"):
        growsearch.load(folder)
    change(folder, name="timm/hf-hub:somebody/something", arguments={})
    with refused("models of timm"):
        growsearch.load(folder)


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:run", "torch:load", "torch.hub:load", "builtins:exec", "numpy:load"]
)
def test_trust_is_for_ones_own_functions(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, name=name, arguments={"command": f"touch {folder}/owned"})
    with refused("use a function of your own package or module"):
        growsearch.load(folder, trust=True)
    assert not (folder / "owned").exists()


def test_trusted_functions_get_no_word_to_fetch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ones_own", module := types.ModuleType("ones_own"))
    module.build = lambda **arguments: pytest.fail("called")
    for word in ("pretrained", "pretrained_backbone", "weights", "ckpt_path", "checkpoint", "hub", "state_dict"):
        change(folder, name="ones_own:build", arguments={word: True})
        with refused(f"network.arguments.{word} is not accepted"):
            growsearch.load(folder, trust=True)


def test_what_a_trusted_function_gives_must_be_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ones_own", module := types.ModuleType("ones_own"))
    module.build = lambda: "text"
    change(folder, name="ones_own:build", arguments={})
    with refused("gives str; it must give a torch.nn.Module"):
        growsearch.load(folder, trust=True)


class Watched(torch.overrides.TorchFunctionMode):
    """Notes the largest tensor that is made on the CPU."""

    largest = 0

    def __torch_function__(self, func, kinds, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not made.is_meta:
            self.largest = max(self.largest, made.numel())
        return made


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("regnet_y_400mf", {"num_classes": 1_000_000}),
        ("regnet_y_400mf", {"num_classes": 999_999, "dropout": 0.5}),
        ("resnet18", {"num_classes": 1_000_000}),
        ("resnet18", {"width_per_group": 64, "num_classes": 1_000_000}),
        ("mobilenet_v2", {"width_mult": 1000.0}),
    ],
)
def test_sizes_ask_for_no_memory_before_the_weights_are_known_to_fit(name: str, arguments: dict, folder: Path) -> None:
    change(folder, name=f"torchvision/{name}", arguments=arguments, layers={}, shapes={}, containers={}, ties=[])
    with Watched() as seen, refused():
        growsearch.load(folder)
    assert seen.largest < 1_000_000, "more than the bytes of the folder's own tensors"


def test_a_large_network_cut_down_by_its_description_is_never_whole(tmp_path: Path) -> None:
    """Its layers shrink to the weights that are there; what the builder would have made is not needed to load them."""
    module = skeleton(spec_of("torchvision/resnet18", num_classes=1_000_000))
    spec = module.spec()
    spec["layers"]["fc"]["out_features"] = 5
    small = skeleton(spec)
    tensors = {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in small.state_dict().items()}
    (tmp_path / "network").mkdir()
    safetensors.torch.save_file(tensors, tmp_path / "network" / "weights.safetensors")
    (tmp_path / "network" / "architecture.json").write_text(json.dumps(spec))
    with Watched() as seen:
        assert growsearch.load(tmp_path).net.fc.out_features == 5
    assert seen.largest < 10_000_000


def test_constructors_that_look_at_values_are_followed_without_memory() -> None:
    module = skeleton(spec_of("torchvision/regnet_y_400mf"))
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    with torch.device("meta"), SmallOnCpu():
        assert torch.arange(4).tolist() == [0, 1, 2, 3]
        assert torch.zeros(SMALL + 1).is_meta and torch.empty(1).is_meta and torch.ones(2, device="meta").is_meta


def test_a_run_of_ones_own_network_needs_the_word_at_predict_and_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("growsearch.networks.builders._TRUSTED", set())
    monkeypatch.setitem(sys.modules, "ones_own", module := types.ModuleType("ones_own"))
    module.build = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    own = External(module.build(), "ones_own:build")
    save_network(run / "network", own, own.spec())
    from PIL import Image

    Image.new("L", (8, 8), 7).save(tmp_path / "a.png")
    commands = (
        ["predict", str(run), str(tmp_path / "a.png")],
        ["latency", str(run), "--batch", "1"],
        ["export", str(run), "--format", "python", "-o", str(tmp_path / "out")],
    )
    for words in commands:
        assert main(words) == 2
        assert "network.trust=true (resume, predict, export and latency: --trust)" in capsys.readouterr().err
    for words, trusting in zip(commands, ("--trust", "--trust", "network.trust=true"), strict=True):
        assert main([*words, trusting]) == 0
    assert "class Network(nn.Sequential)" in (tmp_path / "out" / "model.py").read_text()
