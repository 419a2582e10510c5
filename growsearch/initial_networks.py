"""Modules that a run is given: a network of the configuration, one that was found before, an ensemble, a donor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from growsearch.data.dataset import Dataset
from growsearch.deploy import load_network, load_preprocessing, network_folder
from growsearch.deploy.load import candidates_of
from growsearch.errors import MissingFiles, UserError
from growsearch.families.registry import OWN
from growsearch.networks import build
from growsearch.networks.builders import trust_names
from growsearch.networks.check_fit import check_fit, check_rebuilt
from growsearch.networks.darts.genotypes import random_genotype
from growsearch.networks.ensemble import Ensemble
from growsearch.networks.external import External
from growsearch.networks.like_size import spec_of_size
from growsearch.networks.nats import random_architecture
from growsearch.networks.pretrained import load_pretrained
from growsearch.networks.registry import materialise, skeleton, spec_from_options
from growsearch.randomness import generator
from growsearch.run_folder.files import read_json
from growsearch.untrusted import parsing

NOT_IN_SPECS = ("params", "like", "pretrained", "weights", "weights_left_out")
"""Options of a network that say nothing about its layers."""


def make_network(options: dict[str, Any], data: Dataset, seed: int, goes_on: bool = False) -> nn.Module:
    """The network that the group ``network`` names: with fresh weights, except ensembles and pretrained ones.

    Args:
        options: of its family.
        data: what it is for.
        seed: of the run.
        goes_on: whether a network that was found comes with its trained weights, marked by ``comes_trained``.

    Raises:
        UserError: if an option is wrong, or the network does not fit the data.
    """
    if options["family"] == "ensemble":
        return make_ensemble(options["runs"], options["candidates"], data, bool(options.get("trust")))
    if options["family"] == "found":
        found = network_folder(options["run"], options["candidate"])
        changes = options["changes"]
        with parsing(found / "architecture.json", "not the network of a run"):
            spec = {**read_json(found / "architecture.json"), **changes}
            if options.get("trust"):
                trust_names(spec)
            spec = {**transferred_spec(spec, data.image_shape, data.num_classes), **changes}
            module = build(spec, generator(seed, "initialise", "network"))
        check_fit(module, data.image_shape, data.num_classes)
        return with_weights_of(module, found) if goes_on else module
    usual = {key: value for key, value in options.items() if key not in NOT_IN_SPECS}
    if usual["family"] == "darts" and usual["genotype"] == "random":
        usual["genotype"] = random_genotype(generator(seed, "random genotype")).to_json()
    if usual["family"] == "nats" and usual["architecture"] == "random":
        usual["architecture"] = random_architecture(generator(seed, "random architecture"))
    params = wanted_params(options.get("params"), options.get("like"))
    if params is None:
        spec = spec_from_options(usual, data.image_shape, data.num_classes)
    else:
        spec = spec_of_size(usual, params, data.image_shape, data.num_classes)
    module = skeleton(spec)
    if spec["family"] == "external" or spec["family"] not in OWN:
        check_fit(module, data.image_shape, data.num_classes)
    module = materialise(module, generator(seed, "initialise", "network"))
    if isinstance(module, External):
        if ":" in module.name:
            check_rebuilt(module, data.image_shape)
        module.weights_left_out = options.get("weights_left_out", False)
        if options["pretrained"] or options["weights"]:
            load_pretrained(module, data.num_classes, options["weights"])
    return module


def with_weights_of(module: nn.Module, found: Path) -> nn.Module:
    """A network with the weights of the one in a folder.

    Raises:
        UserError: if its tensors have other shapes, as for other images or classes.
    """
    try:
        module.load_state_dict(load_network(found).state_dict())
    except RuntimeError as error:
        raise UserError(
            f"network.run: the weights in {found} do not fit ({str(error).splitlines()[1].strip()}); use the run's own"
            " data and leave network.changes out"
        ) from error
    module.comes_trained = True  # type: ignore[assignment]
    return module


def wanted_params(params: int | None, like: str | None) -> int | None:
    """The number of parameters that ``network.params``, or the run that ``network.like`` names, asks for.

    Raises:
        UserError: if both are given, the number is not positive, or the run has no result.
    """
    if params is not None and like is not None:
        raise UserError(f"network.like: {like!r} is given beside network.params={params}; use one of them")
    if params is None and like is None:
        return None
    option, found = "params", params
    if like is not None:
        result = read_json(Path(like) / "result.json")
        option, found = "like", result.get("params") if isinstance(result, dict) else None
    if not isinstance(found, int) or found < 1:
        raise UserError(f"network.{option}: {found!r} parameters is not accepted; use 1 or more")
    return found


def make_ensemble(
    runs: Sequence[str], candidates: Sequence[int] | None, data: Dataset, trust: bool = False
) -> Ensemble:
    """The trained networks of finished runs as one.

    Args:
        runs: their folders.
        candidates: numbers of those taken of each run; None for all, or the one network of a run without a list.
        data: what the ensemble is for; every member must have been trained on images normalised like these.
        trust: see :func:`growsearch.deploy.load`.

    Raises:
        UserError: if there is no such network, or it was trained on other images.
    """
    if not runs or isinstance(runs, str):
        raise UserError(f"network.runs: {runs!r} is not accepted; use a list of run folders, such as [outputs/...]")
    places = [(run, candidate) for run in runs for candidate in _numbers(Path(run), candidates)]
    for run, candidate in places:
        had = load_preprocessing(run, candidate)
        same = had.image_shape == data.image_shape and had.classes == tuple(data.classes)
        if not same or not _alike(had.normalisation, data.normalisation):
            raise UserError(f"network.runs: {run} was trained on other images; use its own data options and seed")
    return Ensemble([load_network(network_folder(run, candidate), trust) for run, candidate in places])


def _numbers(run: Path, candidates: Sequence[int] | None) -> list[int | None]:
    if candidates is not None:
        return list(candidates)
    return list(candidates_of(run)) or [None]


def _alike(one: Any, other: Any) -> bool:
    return all(
        torch.equal(getattr(one, key).cpu(), getattr(other, key).cpu())
        if getattr(one, key).shape == getattr(other, key).shape
        else False
        for key in ("mean", "std")
    )


def make_donor(name: str, trust: bool = False, download: bool = False) -> nn.Module:
    """A trained network that others take weights from: a finished run, or ``torchvision:<name>``'s own weights.

    Args:
        name: folder of the run, or ``torchvision:<name>``.
        trust: see :func:`growsearch.deploy.load`.
        download: whether weights that are not on this machine may be fetched.

    Raises:
        UserError: if there is none.
        MissingFiles: if its weights would have to be fetched, and may not.
    """
    source, _, model = name.partition(":")
    if source != "torchvision":
        module = load_network(network_folder(name), trust)
        return module.net if isinstance(module, External) else module
    from torchvision.models import get_model, get_model_weights  # slow to import, and seldom needed

    try:
        weights = get_model_weights(model).DEFAULT
        file = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
        if not (download or file.is_file()):
            raise MissingFiles(
                f"algo.donor: the weights of {name} are not on this machine ({file}); add data.download=true to fetch"
                f" {weights.url}"
            )
        return get_model(model, weights=weights).eval()
    except (ValueError, OSError) as error:
        raise UserError(
            f"algo.donor: {name!r} is not accepted; use a run folder or a trained network ({error})"
        ) from error


def transferred_spec(spec: dict[str, Any], image_shape: Sequence[int], num_classes: int) -> dict[str, Any]:
    """The spec with the channels and classes of another data set's images (C, H, W); depths and widths stay.

    Raises:
        UserError: if tensors were resized one by one for other channels or classes.
    """
    wanted: dict[str, Any] = {"classes": num_classes, "num_classes": num_classes, "in_channels": image_shape[0]}
    if "input_shape" in spec:  # [H, W] where there is no channel axis
        axes = len(spec["input_shape"])
        wanted["input_shape"] = list(image_shape[-axes:] if image_shape[0] == 1 else image_shape)
    changed = {key: value for key, value in wanted.items() if key in spec and spec[key] != value}
    if changed and spec.get("resized"):
        raise UserError(
            f"network.run: tensors of sizes of their own do not fit {changed};"
            " network.changes.resized={} leaves them out"
        )
    return {**spec, **changed}
