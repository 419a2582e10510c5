"""A run's folder may be a stranger's: what it asks for is not fetched or run, unless the command line says so."""

import pytest

from growsearch.cli.compose import compose_run
from growsearch.config import typed
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
