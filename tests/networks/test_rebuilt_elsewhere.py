"""Networks of timm and transformers after edits of all kinds: their files give the same network in a new process."""

import json
import random
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from processes import FORKS
from safetensors.torch import load_file, save_file
from torch import nn

from growsearch.networks import build
from growsearch.networks.builders import trust, trust_names
from growsearch.networks.rebuild import rebuild
from growsearch.networks.tensors import module_tensors
from growsearch.surgery import ChannelGroup, channel_groups, prune, widen

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TIMM = {
    "test_vit": {"img_size": 32},
    "test_vit3": {"img_size": 32},
    "test_convnext": {},
    "test_resnet": {},
    "test_efficientnet": {},
    "ghostnet_050": {},
}
NAMES = [f"timm/{name}" for name in TIMM if find_spec("timm")]
NAMES += [
    f"small_transformers:{name}" for name in ("vit", "deit", "swin", "convnext", "resnet") if find_spec("transformers")
]
SHORT = ["timm/test_vit", "timm/test_convnext"]


def rebuild_all(root: Path) -> None:
    """Rebuild the network of each folder, in a new process, and note which compute what they did."""
    torch.set_num_threads(1)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        spec, held = json.loads((folder / "architecture.json").read_text()), load_file(folder / "outputs.safetensors")
        trust_names(spec)
        module = rebuild(spec, load_file(folder / "weights.safetensors"), folder)
        assert module.spec() == spec, folder
        with torch.no_grad():
            assert torch.equal(module.eval()(held["x"]), held["y"]), folder
        (folder / "alike").touch()


def edit(module: nn.Module, groups: list[ChannelGroup], rng: random.Random) -> None:
    for group in groups:
        if group.frozen is None and rng.random() < 0.5:
            widen(module, group, group.size + group.step * rng.randint(1, 3 if group.step == 1 else 1))
        elif group.unprunable is None and group.size > 1:
            prune(module, group, sorted(rng.sample(range(group.size), rng.randint(1, group.size))))


def rebuilt(root: Path, names: list[str], proven: list[str]) -> list[str]:
    """The names that one new process rebuilds alike, after edits of all kinds here."""
    rng = random.Random(0)
    for index, name in enumerate(names):
        trust(name)
        arguments = {"num_classes": 5, **TIMM[name[5:]]} if name.startswith("timm/") else {}
        module = build({"family": "external", "name": name, "arguments": arguments}).eval()
        edit(module, channel_groups(module, X, prove=name in proven), rng)
        edit(module, [g for g in channel_groups(module, X, prove=False, heads=True) if "att" in g.name], rng)
        edit(module, channel_groups(module, X, prove=False), rng)
        folder = root / str(index)
        folder.mkdir()
        (folder / "architecture.json").write_text(json.dumps(module.spec()))
        save_file(module_tensors(module), folder / "weights.safetensors")
        with torch.no_grad():
            save_file({"x": X, "y": module(X)}, folder / "outputs.safetensors")
    process = FORKS.Process(target=rebuild_all, args=(root,))
    process.start()
    process.join()
    assert process.exitcode == 0
    return [name for index, name in enumerate(names) if (root / str(index) / "alike").exists()]


@pytest.mark.skipif(not find_spec("timm"), reason="timm is not there")
def test_some_are_the_same_in_a_new_process(tmp_path):
    assert rebuilt(tmp_path, SHORT, SHORT[:1]) == SHORT


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_all_are_the_same_in_a_new_process(tmp_path):
    assert rebuilt(tmp_path, NAMES, NAMES) == NAMES
