"""Weights that others trained, from caches and files; nothing is downloaded."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from growsearch.actions.workbench import Workbench
from growsearch.errors import UserError
from growsearch.initial_networks import make_network
from growsearch.runner.start import leave_pretrained

NAME, HEAD = "torchvision/squeezenet1_1", "classifier.1"


def made(channels: int = 3, name: str = NAME, **options) -> nn.Module:
    usual = {"family": "external", "name": name, "arguments": {}, "trust": False, "pretrained": False, "weights": None}
    data = SimpleNamespace(image_shape=(channels, 64, 64), num_classes=5)
    return make_network({**usual, **options}, data, 0).net


@pytest.fixture(scope="module")
def source() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1(weights=None).state_dict()


@pytest.fixture(scope="module", params=["cache", "safetensors", "torch", "nested"])
def options(request, source, tmp_path_factory):
    """Where the weights are."""
    folder, patch = tmp_path_factory.mktemp("weights"), pytest.MonkeyPatch()
    if request.param == "cache":
        url = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url
        patch.setattr(torch.hub, "get_dir", lambda: str(folder))
        (folder / "checkpoints").mkdir()
        torch.save(source, folder / "checkpoints" / Path(url).name)
        yield {"pretrained": True}
        patch.undo()
        return
    path = folder / ("weights.safetensors" if request.param == "safetensors" else "weights.pth")
    if request.param == "safetensors":
        save_file(source, path)
    else:
        nested = {"epoch": 3, "model": {f"module.{name}": tensor for name, tensor in source.items()}}
        torch.save(nested if request.param == "nested" else source, path)
    yield {"weights": str(path)}


def test_classes_and_channels_are_those_of_the_data(options, source):
    fresh, colour, grey = made(), made(**options), made(1, **options)
    for name, tensor in colour.state_dict().items():
        wanted = fresh.state_dict() if name.startswith(HEAD) else source
        assert torch.equal(tensor, wanted[name]), name
    first = "features.0.weight"
    assert grey.features[0].in_channels == 1
    assert torch.allclose(grey.state_dict()[first], source[first].sum(1, keepdim=True), atol=1e-6)
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():  # a grey picture is what it would be with three equal channels
        assert torch.allclose(grey.features.eval()(x), colour.features.eval()(x.expand(-1, 3, -1, -1)), atol=1e-4)


def test_timm_is_asked_for_its_own(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    from huggingface_hub import constants

    torch.manual_seed(0)
    net = timm.create_model("test_resnet")
    repository = tmp_path / f"models--{net.pretrained_cfg['hf_hub_id'].replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(net.state_dict(), repository / "snapshots" / ("0" * 40) / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = torch.get_rng_state()
    grey, source = made(1, "timm/test_resnet", pretrained=True), net.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(grey.state_dict()["layer1.0.conv1.weight"], source["layer1.0.conv1.weight"])
    assert torch.allclose(grey.conv1[0].weight, source["conv1.0.weight"].sum(1, keepdim=True), atol=1e-6)
    assert grey.fc.weight.shape[0] == 5 and grey.fc.weight.std() > 0
    with pytest.raises(UserError, match=r"network\.pretrained: the weights of timm/test_vit cannot be had"):
        made(3, "timm/test_vit", pretrained=True, arguments={"img_size": 64})


class Innocent:
    """An object in a pickle."""


def test_files_that_do_not_hold_these_weights_are_refused(tmp_path, source):
    path = tmp_path / "weights.pth"
    resized = {name: tensor[:2] if name == "features.3.squeeze.weight" else tensor for name, tensor in source.items()}
    missing = {name: tensor for name, tensor in source.items() if name != "features.3.squeeze.bias"}
    wrong = {
        "cannot be read": Innocent(),
        "does not hold tensors": [1, 2],
        "'features.3.squeeze.weight' is": resized,
        "missing there": missing,
        "of another network": {**source, "layer4.weight": torch.zeros(2)},
    }
    for message, held in wrong.items():
        torch.save(held, path)
        with pytest.raises(UserError, match=message):
            made(weights=str(path))
    for gone in (tmp_path / "gone.pth", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            made(weights=str(gone))


def test_a_folder_never_has_weights_read(tmp_path):
    network = {"family": "external", "pretrained": True, "weights": str(tmp_path / "secret")}
    folder = SimpleNamespace(path=tmp_path, started=False, finished=False)
    with pytest.raises(UserError, match="give that command again"):
        leave_pretrained(folder, SimpleNamespace(network=network))
    folder.started = True
    leave_pretrained(folder, SimpleNamespace(network=network))
    assert network["pretrained"] is False and network["weights"] is None
    module = make_network(
        {"name": NAME, "arguments": {}, "trust": False, **network},
        SimpleNamespace(image_shape=(3, 64, 64), num_classes=5),
        0,
    )
    with pytest.raises(UserError, match="begin it with its command"):
        Workbench(SimpleNamespace(), {"network": module}).source("network")
