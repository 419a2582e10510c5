"""Source tree, wheel, sdist, and the wheel made from the sdist: all carry code and configurations, and work."""

import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from sampling import sampled

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".yaml", ".css", ".js", ".json", ".md"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The three archives, built without a network and without leaving anything in the tree."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the archives, is not installed")
    out = tmp_path_factory.mktemp("built")
    build("sdist", ROOT, out)
    build("wheel", ROOT, out / "from_tree")
    with tarfile.open(only(out, "*.tar.gz")) as archive:
        archive.extractall(out / "unpacked", filter="data")
    build("wheel", only(out / "unpacked", "*"), out / "from_sdist")
    return out


def build(target: str, tree: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def tree_files() -> dict[str, bytes]:
    """What a wheel has to hold: the package's files under version control, conf/ as growsearch/conf/."""
    listed = subprocess.run(["git", "ls-files", "growsearch", "conf"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout, which tells what belongs into the archives")
    names = [name for name in listed.stdout.splitlines() if Path(name).suffix in SUFFIXES and (ROOT / name).is_file()]
    return {f"growsearch/{name}" if name.startswith("conf/") else name: (ROOT / name).read_bytes() for name in names}


@pytest.mark.parametrize("origin", ["from_tree", "from_sdist"])
def test_a_wheel_holds_package_and_configurations(built, origin):
    with zipfile.ZipFile(only(built / origin, "*.whl")) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist()}
    wanted = tree_files()
    assert "growsearch/conf/config.yaml" in wanted
    assert sorted(wanted.keys() - held.keys()) == []
    assert [name for name, content in wanted.items() if held[name] != content] == []
    strays = [name for name in held if not name.startswith("growsearch/") and ".dist-info/" not in name]
    assert strays == []
    assert len(held) == len(set(held))


def test_the_sdist_holds_tests_and_readme(built):
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "conf/config.yaml", "tests/packaging/test_packaging.py"} <= names


@pytest.mark.parametrize("origin", sampled(("tree", "from_tree", "from_sdist"), "from_sdist"))
def test_it_composes_from_where_it_is(built, origin, tmp_path):
    """A process that finds only this copy, working in an empty folder."""
    place = ROOT
    if origin != "tree":
        place = tmp_path / "site"
        with zipfile.ZipFile(only(built / origin, "*.whl")) as wheel:
            wheel.extractall(place)
    code = (
        "import growsearch, sys; from growsearch.cli import main\n"
        f"assert growsearch.__file__.startswith({str(place)!r}), growsearch.__file__\n"
        "assert main(['validate', 'algo=fixed', 'network=resnet34', 'data=cifar10']) == 0\n"
        "assert main(['ls', 'experiment']) == 0\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "# valid" in done.stdout
    assert "densemann/cifar10" in done.stdout
