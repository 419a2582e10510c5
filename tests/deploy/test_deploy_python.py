"""The written source computes what the network does, where growsearch does not exist."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from algorithms.methods import ROWS
from deploy.test_deploy_export import FAMILIES, PREPROCESSING, edited, lively
from sampling import drawn, sampled
from torch import Tensor, nn

from growsearch.cli import main
from growsearch.cli.compose import compose_run
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing, load, load_preprocessing
from growsearch.deploy.source import write_python
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.ensemble import Ensemble
from growsearch.networks.external import External
from growsearch.runner import start
from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.tensors import copied

FEW = dict.fromkeys(drawn(FAMILIES, 4))
"""Families of which some are written always, others in each version."""
LARGEST = ("darts", "nasnet")
"""Families whose channels take seconds to find and to prove free."""

ALONE = """
import runpy, sys
from pathlib import Path

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("growsearch", "torchvision", "timm"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Forbid())
import torch
from safetensors.torch import load_file

for folder in map(Path, sys.argv[1:]):
    network = runpy.run_path(str(folder / "model.py"))["load"]().double()
    case = load_file(folder / "case.safetensors")
    with torch.no_grad():
        found = network(case["images"])
    gap = float((found - case["wanted"]).abs().max()) / max(1.0, float(case["wanted"].abs().max()))
    print(folder.name, gap)
    assert found.shape == case["wanted"].shape and gap <= 1e-10, folder
"""

CHANGED = [
    "torchvision/squeezenet1_1",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            *(
                f"torchvision/{name}"
                for name in (
                    "resnet18",
                    "shufflenet_v2_x0_5",
                    "densenet121",
                    "mobilenet_v3_small",
                    "googlenet",
                    "swin_t",
                )
            ),
            *(f"torchvision/{name}" for name in ("efficientnet_b0", "regnet_y_400mf", "convnext_tiny", "vit_b_16")),
            *(
                f"timm/{name}"
                for name in (
                    *("resnet18", "mobilenetv3_small_050", "convnext_atto", "ghostnet_050", "lcnet_035"),
                    *("regnetx_002", "repvgg_a0", "test_vit", "seresnet18", "efficientnet_lite0"),
                )
            ),
        )
    ),
]


def doubled(module: nn.Module) -> nn.Module:
    return copied(module, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor.clone()).eval()


def write(module: nn.Module, preprocessing: Preprocessing, folder: Path) -> Path:
    """Write a network, with images and what it makes of them in float64."""
    folder.mkdir(parents=True)
    write_python(module, preprocessing, folder)
    images = torch.randn(3, *preprocessing.image_shape, generator=torch.Generator().manual_seed(5)).double()
    with torch.no_grad():
        case = {"images": images, "wanted": doubled(module)(images)}
    assert float(case["wanted"].std()) > 0
    safetensors.torch.save_file(case, folder / "case.safetensors")
    return folder


def run_alone(*folders: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ALONE, *folders], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_family_grown_and_pruned_alone(tmp_path):
    run_alone(*(write(edited(name), PREPROCESSING, tmp_path / name) for name in FAMILIES))


@pytest.mark.parametrize("families", sampled([FAMILIES, FEW], FEW), ids=len)
def test_families_alone(families, tmp_path):
    """The largest as they are built, the others grown and pruned."""
    made = [(name, lively(FAMILIES[name]) if name in LARGEST else edited(name)) for name in families]
    made.append(("ensemble", Ensemble([lively(FAMILIES["densenet"]), lively(FAMILIES["resnet"])])))
    heads = {"family": "darts", "genotype": "DL2", "channels": 4, "layers": 3, "classes": 5, "in_channels": 1}
    made.append(("darts-auxiliary", lively({**heads, "auxiliary": True})))
    run_alone(*(write(module, PREPROCESSING, tmp_path / name) for name, module in made))


def test_every_methods_result_alone(tmp_path):
    """The oldest run that is kept of each."""
    kept = sorted((Path(__file__).parents[1] / "compatibility" / "runs").glob("*/*/finished"), reverse=True)
    runs = {folder.parent.name: folder for folder in kept}
    assert len(runs) >= 6
    run_alone(*(write(load(run), load_preprocessing(run), tmp_path / name) for name, run in runs.items()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_run_of_every_method_alone(name, tmp_path):
    start(compose_run([*ROWS[name], "track.report=false", f"output.root={tmp_path}"]))
    (result,) = tmp_path.glob("*/*/*/result.json")
    run_alone(write(load(result.parent), load_preprocessing(result.parent), tmp_path / "written"))


@pytest.mark.parametrize("name", CHANGED)
def test_changed_networks_of_others_alone(name, tmp_path):
    pytest.importorskip(name.partition("/")[0])
    sizes = {"torchvision/vit_b_16": {"image_size": 64}, "timm/test_vit": {"img_size": 64}}
    arguments = {"num_classes": 5, **sizes.get(name, {})}
    module = build({"family": "external", "name": name, "arguments": arguments})
    preprocessing = Preprocessing((3, 64, 64), tuple("abcde"), Normalisation.unit(3))
    groups = [group for group in channel_groups(module, torch.zeros(2, 3, 64, 64), prove=False)]
    free = [group for group in groups if group.frozen is None and group.step == 1 and group.size > 4]
    if free:
        prune(module, free[0], range(free[0].size - 3))
        widen(module, free[-1], free[-1].size + 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # some heads start at zero
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    run_alone(write(module.eval(), preprocessing, tmp_path / "network"))


class Odd(nn.Module):
    """What families do not have: shared and tied layers, constants, views, loops over values, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.GELU()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.twin = nn.Conv2d(1, 6, 3, padding=1)
        self.twin.weight = self.conv.weight
        self.layers = nn.ModuleDict(
            {"one-layer": nn.Conv2d(6, 6, 1), "class": nn.Sequential(nn.Conv2d(6, 6, 1), self.act)}
        )
        self.scale = nn.Parameter(torch.full((6, 1, 1), 0.5))
        self.register_buffer("offset", torch.arange(6.0)[:, None, None], persistent=False)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)
        self.split = Split()
        self.head = nn.Linear(6, 5)
        self.unused = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x)) + self.twin(x) * self.scale + self.offset
        for name in self.layers:
            x = x + self.layers[name](x)
        if x.shape[2] > 4 and isinstance(x, Tensor):
            x = F.avg_pool2d(x, 2)
        low, high = self.split(x)
        x = torch.cat([high, -low], dim=1) ** 2 / torch.tensor([4.0])
        batch, channels, height, width = x.shape
        total = torch.zeros(batch, channels, dtype=x.dtype)
        for row in range(height):
            total += x[:, :, row].amax(2)
        x = x + total[:, :, None, None] + torch.arange(width).to(x.dtype)
        x = x.view(batch, channels, height * width).transpose(1, 2)
        x[:, 0] = x[:, 0] + 1
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return self.head(F.dropout(self.norm(mixed), 0.5, self.training).mean(1))


class Split(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = x.chunk(2, 1)
        return low * 2, high


def test_an_odd_network_alone(tmp_path):
    torch.manual_seed(3)
    module = External(Odd(), "somebodys_networks:odd").eval()
    folder = write(module, PREPROCESSING, tmp_path / "network")
    run_alone(folder)
    source = (folder / "model.py").read_text()
    assert "self.twin.weight = self.conv.weight" in source and "unused" not in source
    assert all(len(line) <= 130 for line in source.splitlines())


def test_the_source_is_short_and_names_layers_with_their_numbers(tmp_path):
    tmp_path = write(edited("densenet"), PREPROCESSING, tmp_path / "densenet")
    source = (tmp_path / "model.py").read_text()
    assert "self.conv = nn.Conv2d(out_channels, conv_out_channels, 3, padding=1, bias=False)" in source
    assert "x = torch.cat([x, self[0](x)], dim=1)" in source
    assert len(source.splitlines()) < 100
    names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    assert names == {"Transition", "DenseLayer", "DenseBlock", "DenseBlock2", "Network"}


def test_weights_are_loaded_strictly(tmp_path):
    import runpy

    folder = write(lively(FAMILIES["sequential"]), PREPROCESSING, tmp_path / "network")
    load = runpy.run_path(str(folder / "model.py"))["load"]
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    for changed in ({**weights, "more": torch.zeros(1)}, dict(list(weights.items())[:-1])):
        safetensors.torch.save_file(changed, folder / "model.safetensors")
        with pytest.raises(RuntimeError, match="state_dict"):
            load()


@pytest.mark.parametrize("mean", [torch.tensor([[[0.25]]]), torch.linspace(0, 1, 256).view(1, 16, 16)])
def test_preprocessing_is_part_of_the_file(mean, tmp_path):
    import runpy

    preprocessing = Preprocessing(
        (1, 16, 16), ("a", "b'\"\n", "c", "d", "e"), Normalisation(mean, torch.full((1, 1, 1), 0.3), "a test")
    )
    folder = write(lively(FAMILIES["sequential"]), preprocessing, tmp_path / "network")
    made = runpy.run_path(str(folder / "model.py"))
    images = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(made["preprocess"](images), preprocessing(images), atol=1e-6)
    assert made["CLASSES"] == preprocessing.classes


class Hostile(nn.Module):
    """Names that would be code if they were written as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential()
        self.body.add_module("x = open('owned', 'w')", nn.Conv2d(1, 5, 3))
        self.body.add_module("None", nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))


def test_names_are_not_written_as_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    preprocessing = Preprocessing(
        (1, 16, 16), ('"""', "\nimport os", "\\", "{x}", "$classes"), PREPROCESSING.normalisation
    )
    run_alone(write(External(Hostile(), "a:b").eval(), preprocessing, tmp_path / "network"))
    assert not (tmp_path / "owned").exists() and not (tmp_path / "network" / "owned").exists()


class Untold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten.relu.default(x).mean((2, 3))


def test_what_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UserError, match=r"--format: python cannot write the function .*; use onnx or pt2"):
        write_python(Untold(), PREPROCESSING, tmp_path)


def test_the_command_writes_a_folder_and_follows_no_link(digits_run, tmp_path, capsys):
    assert main(["export", str(digits_run), "--format", "python", "-o", str(tmp_path / "out")]) == 0
    assert "agrees with the network on 32 test images" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.py", "model.safetensors"]
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1  # others may read the weights too
    (digits_run / "exports").mkdir(exist_ok=True)
    link = digits_run / "exports" / "network-python"
    link.symlink_to(tmp_path / "out")
    try:
        assert main(["export", str(digits_run), "--format", "python"]) == 2
    finally:
        link.unlink()
    assert "it is a link" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["onnx", "pt2", "safetensors"])
def test_a_folder_is_no_name_of_a_file(format, digits_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (".", "..", "/"):
        assert main(["export", str(digits_run), "--format", format, "-o", place]) == 2
        assert capsys.readouterr().err == f"growsearch: {place}: it is a folder; name a file in it\n"
    assert not list(tmp_path.iterdir())


def test_the_working_folder_takes_the_source(digits_run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["export", str(digits_run), "--format", "python", "-o", "."]) == 0
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["here", "model.py", "model.safetensors"]
