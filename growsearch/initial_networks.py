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
from growsearch.networks import build
from growsearch.networks.check_fit import check_fit
from growsearch.networks.ensemble import Ensemble
from growsearch.networks.like_size import spec_of_size
from growsearch.networks.registry import FAMILIES, materialise, skeleton, spec_from_options
from growsearch.networks.transfer import transferred_spec
from growsearch.randomness import generator
from growsearch.run_folder.files import read_json
from growsearch.untrusted import parsing


def make_network(options: dict[str, Any], data: Dataset, seed: int) -> nn.Module:
    """The network that the group ``network`` names: with fresh weights, but for an ensemble.

    Raises:
        UserError: if an option is wrong, or the network does not fit the data.
    """
    if options["family"] == "ensemble":
        return make_ensemble(options["runs"], options["candidates"], data)
    if options["family"] == "found":
        found = network_folder(options["run"], options["candidate"])
        changes = options["changes"]
        with parsing(found / "architecture.json", "not the network of a run"):
            spec = {**read_json(found / "architecture.json"), **changes}
            spec = {**transferred_spec(spec, data.image_shape, data.num_classes), **changes}
            module = build(spec, generator(seed, "initialise", "network"))
        check_fit(module, data.image_shape, data.num_classes)
        return module
    usual = {key: value for key, value in options.items() if key not in ("params", "like")}
    params = wanted_params(options.get("params"), options.get("like"))
    if params is None:
        spec = spec_from_options(usual, data.image_shape, data.num_classes)
    else:
        spec = spec_of_size(usual, params, data.image_shape, data.num_classes)
    module = skeleton(spec)
    if spec["family"] == "external" or spec["family"] not in FAMILIES:
        check_fit(module, data.image_shape, data.num_classes)
    return materialise(module, generator(seed, "initialise", "network"))


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


def make_ensemble(runs: Sequence[str], candidates: Sequence[int] | None, data: Dataset) -> Ensemble:
    """The trained networks of finished runs as one.

    Args:
        runs: their folders.
        candidates: numbers of those taken of each run; None for all, or the one network of a run without a list.
        data: what the ensemble is for; every member must have been trained on images normalised like these.

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
    return Ensemble([load_network(network_folder(run, candidate)) for run, candidate in places])


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


def make_donor(name: str, download: bool) -> nn.Module:
    """A trained network that others take weights from: a finished run, or ``torchvision:<name>``'s own weights.

    Args:
        name: of the donor.
        download: whether weights that are not on this machine may be fetched.

    Raises:
        UserError: if there is none.
        MissingFiles: if its weights would have to be fetched, and may not.
    """
    source, _, model = name.partition(":")
    if source != "torchvision":
        return load_network(network_folder(name))
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
