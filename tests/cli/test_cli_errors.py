"""What the user can mend comes as one line that names it, with exit code 2."""

import sys

import pytest
from sampling import part

from growsearch.cli import main

STAGEWISE = ("algo=stagewise", "schedule=smoke", "data=digits", "algo.training.epochs=1", "algo.extra_epochs=0")


WRONG = [
    (["run", "algo=densmann"], "algo: there is no 'densmann'; did you mean densemann?"),
    (["run", "data=nope"], "data: there is no 'nope'; use one of adult, "),
    (["run", "data=cifar"], "data: there is no 'cifar'; did you mean cifar10?"),
    (["run", "network=resnet21"], "network: there is no 'resnet21'; did you mean resnet20?"),
    (["run", "network=nope"], "network: there is no 'nope'; use one of bottleneck50, "),
    (["run", "network=resnet18"], "(network=external network.name=torchvision/resnet18 takes one of torchvision's"),
    (["run", "network=null"], "network: there is no 'null'; use one of "),
    (["run", "debug=null"], "debug: there is no 'null'; use one of tiny"),
    (["run", "data=5"], "data: there is no '5'; use one of "),
    (["run", "schedule=1e5"], "schedule: there is no '1e5'; use one of "),
    (["run", "hydra/launcher=true"], "hydra/launcher: there is no 'true'; use one of "),
    (["run", "experiment=[[none]]"], "experiment: there is no '[none]'; use one of "),
    (["run", "algo=[densemann,ectonas]"], "use one name; for a sweep add -m and write algo=densemann,ectonas"),
    (["run", "network=[null]"], "network: [null] is a list; use one name"),
    (["validate", "-m", "data=digits,5"], "job 2 of 2 (data='5'): data: there is no '5'; use one of "),
    (["run", "schedule=fast"], "schedule: there is no 'fast'; use one of paper, quick, smoke"),
    (
        ["run", "experiment=conet/tabel2_phi"],
        "experiment: there is no 'conet/tabel2_phi'; did you mean conet/table2_phi?",
    ),
    (["run", "algo.patiense=3"], "algo.patiense: there is no such option; did you mean algo.patience?"),
    (["run", "+algo.patiense=3"], "algo.patiense: there is no such option; did you mean algo.patience?"),
    (["run", "+data.resise=8"], "data.resise: there is no such option; did you mean data.resize?"),
    (["run", "algo=fixed", "network=resnet20", "+algo.training.epoch=1"], "did you mean algo.training.epochs?"),
    (["run", "algo=fixed", "network=resnet20", "+network.widht=1"], "did you mean network.width?"),
    (["run", "+foo=3"], "foo: there is no such option"),
    (["run", "+seed=3"], "seed: an option that is there; write it without +"),
    (["run", "sed=3"], "sed: there is no such option; did you mean seed?"),
    (["run", "debgu=tiny"], "debgu: there is no such option; did you mean debug?"),
    (["run", "plan=x"], "plan: there is no such group"),
    (["validate", "data=digits", "data.channels=1"], "data.channels: 1 is not accepted, as data=digits"),
    (["validate", "data=npz", "data.path="], "data.path: '' is no path; name a file or a folder"),
    (["validate", "output.root="], "output.root: '' is no path; name a file or a folder"),
    (["runs", ""], "runs: argument folder: '' is no path; name a file or a folder, . for this one"),
    (["report", "outputs", "-o", ""], "report: argument -o/--output: '' is no path; name a file"),
    (["figure", "tradeof"], "; did you mean tradeoff?"),
    (["ls", "netwrk"], "; did you mean network?"),
    (["run", "seed=-1"], "seed: -1 is not accepted; use 0 to "),
    (["run", "seed=["], "seed: '[' is not accepted; use a whole number"),
    (["run", "seed=0,1"], "seed=0,1: several values found; add -m for a sweep over them"),
    (["run", "algo=fixed", "algo.training.epochs=-5"], "algo.training.epochs: -5 is not accepted; use 0 or more"),
    (
        ["run", "algo=fixed", "algo.training.epochs=many"],
        "algo.training.epochs: 'many' is not accepted; use a whole",
    ),
    (["run", "algo.lr_milestones=[a]"], "algo.lr_milestones[0]: 'a' is not accepted; use a list of numbers"),
    (
        ["run", "algo=stagewise", "algo.training.lr_at=[[1]]"],
        "algo.training.lr_at: [[1]] is not accepted; use a list",
    ),
    (["run", "algo=prdarts", "algo.epochs=[[1]]"], "algo.epochs"),
    (["run", "-m", "seed=range(2,0)"], "seed=range(2,0): there is nothing to sweep over"),
    (["run", "-m", "seed=range(0,1000000000)"], "-m: 1,000,000,000 jobs are too many; sweep over at most 100,000"),
    (["run", "-m", "seed=range(0,1000)", "algo.lr=range(0,1,0.001)"], "-m: 1,000,000 jobs are too many"),
    (["run", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: 0 is not accepted"),
    (["run", "algo.additions=[3]"], "algo.additions: [3] is not accepted; use a list of lists"),
    (
        ["run", "algo=fixed", "network=resnet34", "network.sizes=[3]"],
        "network.sizes: [3] is not accepted; use a list",
    ),
    (
        ["run", "algo=fixed", "network=densenet", "network.layers=[1000000000000]"],
        "network.layers: [1000000000000] is",
    ),
    (["run", "algo.stem=smal"], "algo.stem: 'smal' is not accepted; use auto, small, large; did you mean small?"),
    (["run", "algo.patience=${nothing}"], "algo.patience: Interpolation key 'nothing' not found"),
    (["run", "algo=fixed"], "network: null is not accepted, as algo=fixed trains one"),
    (["run", "network=resnet20"], "network: 'resnet' is not accepted by algo=densemann, which makes its own"),
    (["run", "algo=prdarts", "network=darts"], "network: 'darts' is not accepted by algo=prdarts"),
    (["run", "algo=fixed", "network=found"], "network.run: no value given; add network.run=..."),
    (["run", "algo=fixed", "network=found", "network.run=/nowhere"], "/nowhere/network: there is no such folder"),
    (["run", "algo=prdarts", "algo.pool=[conv_7x1_1x7]"], "algo.pool: 'conv_7x1_1x7' is not accepted; use none, "),
    (["run", "algo=prdarts", "algo.pool=[max3,conv4[]]"], "algo.pool: 'conv4[]' is not accepted; use none, "),
    (["run", "algo=prdarts", "algo.pool=[max2]"], "algo.pool: 'max2' is not accepted; use none, "),
    (["run", "hardware.device=tpu"], "hardware.device: 'tpu' is not accepted; use auto, cpu, cuda or cuda:N"),
    (["run", "hardware.device=cuda:99"], "hardware.device: 'cuda:99' is not accepted; this machine has"),
    (["run", "data=fashion_mnist", "data.root=/nowhere", "data.download=false"], "/nowhere"),
    (["run", "hydra.run.dir=here"], "hydra.run.dir: not an option of growsearch; output.root=FOLDER"),
    (["run", "-m", "hydra.sweep.dir=here"], "hydra.sweep.dir: not an option of growsearch; output.root=FOLDER"),
    (["run", "~seed"], "~seed: options cannot be deleted"),
    (["run", "densemann"], "densemann: options are written NAME=VALUE; did you mean algo=densemann?"),
    (["run", "densmann"], "densmann: options are written NAME=VALUE; did you mean algo=densemann?"),
    (["run", "--seed", "3"], "--seed=3: options are written without dashes; write seed=3"),
    (["run", "--algo", "conet"], "--algo=conet: options are written without dashes; write algo=conet"),
    (["run", "--max-epochs=3"], "--max-epochs=3: options are written without dashes; write algo.max_epochs=3"),
    (["run", "--config-dir", "/nowhere"], "--config-dir: /nowhere is not a folder"),
    (["run", "algo.label=a/b"], "algo.label: 'a/b' is not accepted"),
    (["run", f"output.root={'z' * 300}"], "cannot be used (File name too long)"),
    (["run", f"data.path={'z' * 300}", "data=npz"], "data.path: 'zzz"),
    (["resume", "/nowhere"], "/nowhere: it has no config.yaml"),
    (["resume", "/dev/null"], "/dev/null: it has no config.yaml; use the folder of a run"),
    (["resume"], "resume: the following arguments are required: RUN;"),
    (["data"], "data: the following arguments are required: action;"),
    (["run", "seed=null"], "seed: null is not accepted; use a whole number"),
    (["run", "algo=fixed", "algo.patience=3"], "no such option; it is an option of algo=densemann, algo=grow"),
    (
        ["run", "algo=ectonas", "algo.lr=1e300"],
        "algo.lr: 1e+300 is not accepted; use a number between -3.4e+38",
    ),
    (["run", "algo=ectonas", f"algo.lr=1{'0' * 400}"], "algo.lr: 10000000000000000000... is too large"),
    (["run", f"algo.max_epochs={'9' * 5000}"], "algo.max_epochs: 99999999999999999999... is too large"),
    (["run", f"algo.lr_milestones=[0.5,1{'0' * 400}]"], "algo.lr_milestones: 10000000000000000000... is too large"),
    (["runs", "/nowhere"], "/nowhere: there is no such folder"),
    (["explain", "algo.patiense"], "algo.patiense: there is no such option; did you mean algo.patience?"),
    (["validate", "algo.name=none"], "algo.name: 'none' is no method; use one of "),
    (["validate", "algo.name=conet"], "not accepted with another method's options; choose it with algo=conet"),
    (["validate", "algo.name=conett"], "; did you mean conet?"),
    (["table", "densman-1"], "table: there is no 'densman-1'; use one of "),
    (["table", "densman-1"], "; did you mean densemann-1?"),
    (["validate", *STAGEWISE, "algo.m0=1000000000000"], "network.depths: 1000000000000 is too large; use"),
    (["validate", *STAGEWISE, "algo.delta=1000000000000"], "algo.delta: 1000000000000 is too large for depths"),
    (["validate", *STAGEWISE, "algo.pls.n_components=5"], "algo.pls.n_components: 5 is not accepted; use 1 to 4"),
    (["validate", *STAGEWISE, "algo.iterations=1000000000000"], "2,000,000,000,001 epochs are planned"),
    (
        ["run", "algo=ectonas", "algo.recuperation.identity=1e12"],
        "algo.recuperation.identity: 1000000000000.0 is not",
    ),
    (["run", "algo.kcs_smoothing=1000000000000"], "algo.kcs_smoothing: 1000000000000 is not accepted; use 2 to"),
    (["run", "algo.kcs_window=1000000000000"], "algo.kcs_window: 1000000000000 is not accepted; use 1 to 100000"),
    (["run", "algo.expansion_rate=1000000000000", "algo.complementary=false"], "use 1 to 100000"),
    (["run", "algo.expansion_rate=9"], "use at most algo.growth_rate=8, or algo.complementary=false"),
    (["run", "algo.block_count=1000000000000"], "algo.block_count: 1000000000000 is not accepted; use 1 to 1000"),
    (
        ["run", "algo=prdarts", "algo.nodes=1000000000000"],
        "algo.nodes: 1000000000000 is not accepted; use 1 to 100",
    ),
    (
        ["run", "algo=ectonas", "algo.rounds=1000000000000"],
        "algo.rounds: 1000000000000 is not accepted; use 1 to 1000",
    ),
    (["run", "algo=ectonas", "algo.warm_up_epochs=1000000000000"], "use 1 to 1000000"),
    (["run", "algo=ectonas", "algo.epochs_per_round=1000000000000"], "use 1 to 1000000"),
    (["frobnicate"], "there is no command 'frobnicate'; use one of run, resume, "),
    (["reprot"], "did you mean report?"),
]
"""Words of a command, and what is said of them."""


@pytest.mark.parametrize(("words", "expected"), part(WRONG, 3))
def test_one_line_and_exit_code_2(words, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said
    assert "\n" not in said and "hydra.cc" not in said and "Error executing job" not in said
    assert not list(tmp_path.iterdir())
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("value", ["0", "1"])
def test_hydras_own_switch_for_errors_changes_nothing(value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", value)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(["run", "algo.patience=many"]) == 2
    assert capsys.readouterr().err == "growsearch: algo.patience: 'many' is not accepted; use a whole number\n"


def test_a_folder_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "schedule=smoke", "output.root=taken"]) == 2
    assert "taken" in capsys.readouterr().err


def test_a_config_from_a_stranger_runs_nothing(capsys, tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "config.yaml").write_text(
        f"algo:\n  name: fixed\n  _target_: os.mkdir\n  path: {mark}\ndata: !!python/object/apply:os.mkdir ['{mark}']\n"
    )
    assert main(["resume", str(tmp_path)]) == 2
    assert "config.yaml: not the configuration of a run" in capsys.readouterr().err
    assert not mark.exists()


PACKAGE = "# @package _global_\n"
OWN_FILES = {
    "broken": (b"bad: [", "broken.yaml: not a configuration (while parsing"),
    "bytes": (b"name: \xff", "bytes.yaml: not a configuration ('utf-8' codec can't decode"),
    "recursive": (PACKAGE.encode() + b"a: &a [*a]\n", "recursive.yaml: not a configuration (maximum recursion depth"),
    "typo": (PACKAGE.encode() + b"algo:\n  patienc: 4\n", "typo.yaml: algo.patienc: there is no such option; did you"),
    "number": (PACKAGE.encode() + b"algo: 3\n", "experiment/number.yaml: "),
    "bare": (b"algo:\n  patience: 3\n", "bare.yaml: its options are taken for those of a group 'experiment'; begin it"),
    "text": (PACKAGE.encode() + b"defaults: x\n", "not a configuration (Invalid defaults list in 'experiment/text'"),
    "keys": (PACKAGE.encode() + b"defaults:\n  - {a: b, c: d}\n", "not a configuration (In experiment/keys: Too many"),
}
"""Configurations of the user's own that cannot be read, or do not fit."""


@pytest.mark.parametrize("name", OWN_FILES)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_what_is_wrong_with_a_configuration_of_ones_own(command, name, capsys, tmp_path, monkeypatch):
    content, expected = OWN_FILES[name]
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main([command, "--config-dir", "own", f"experiment={name}"]) == 2
    said = capsys.readouterr().err.strip()
    assert expected in said and "\n" not in said
