"""``growsearch validate``: compose and check a configuration without running it."""

import argparse

from omegaconf import OmegaConf

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.registry import method
from growsearch.run_folder.fingerprint import fingerprint


def main(argv: list[str]) -> int:
    """Check names, keys, types and ranges; print the configuration."""
    parser = argparse.ArgumentParser("growsearch validate", description="Compose and check, but do not run.")
    parser.add_argument("overrides", nargs="*", help="as for growsearch run")
    parser.add_argument("--config-dir", "-cd", help="a folder of your own configurations")
    options = parser.parse_intermixed_args(argv)
    composed = compose_run(options.overrides, options.config_dir)
    config = typed(composed)
    method(config.algo.name)
    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    print(OmegaConf.to_yaml(composed), end="")
    print(f"# valid; fingerprint {fingerprint({str(k): v for k, v in plain.items()})}")
    return 0
