"""A run's folder may be a stranger's: what it asks for is not fetched or run, unless the command line says so."""

import urllib.request

import pytest
import torch.hub
from omegaconf import OmegaConf

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.errors import UserError
from growsearch.runner import resume
from growsearch.runner.start import distrust

WORDS = ["algo=fixed", "network=external", "network.name=os:getcwd", "network.trust=true", "data=svhn"]


@pytest.mark.parametrize(
    ("overrides", "fetches"), [([], False), (["data.download=true"], True), (["data.path=x"], False)]
)
def test_only_the_command_line_lets_files_be_fetched_or_code_run(overrides, fetches):
    config = typed(compose_run(WORDS))
    assert config.data.download and config.network["trust"]
    distrust(config, overrides, trust=False)
    assert config.data.download is fetches
    assert not config.network["trust"]


def test_a_folder_that_names_a_donor_fetches_no_weights(tmp_path, monkeypatch):
    def fetch(*words, **more):
        raise AssertionError(words)

    for module in (urllib.request, torch.hub):
        monkeypatch.setattr(module, "urlopen", fetch)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    words = ["algo=stagewise", "algo.donor=torchvision:resnet18", "data=digits", "schedule=smoke", "hardware=cpu"]
    composed = compose_run([*words, "data.resize=32"])
    assert composed.data.download
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(OmegaConf.to_yaml(composed, resolve=True))
    with pytest.raises(UserError, match=r"add data\.download=true to fetch"):
        resume(tmp_path / "run")
    assert not (tmp_path / "torch").exists()
