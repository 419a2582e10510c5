"""The networks of a search: the first, each cycle's, and that of the found cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.inherit import inherit
from growsearch.algorithms.prdarts.plans import optimizers_of
from growsearch.algorithms.prdarts.pools import CellPools, EdgeChange
from growsearch.networks import build
from growsearch.networks.darts.genotype import Genotype
from growsearch.networks.darts.search import ALPHA_STD, CELL_KINDS, SearchNetwork
from growsearch.randomness import generator
from growsearch.training import Engine, Network
from growsearch.training.plan import optimizer_of

Changes = Mapping[str, Sequence[EdgeChange]]


def search_spec(config: PrdartsConfig, engine: Engine, pools: Mapping[str, CellPools]) -> dict[str, Any]:
    """Spec of the search network of these pools."""
    return {
        "family": "darts_search",
        "pools": {kind: pools[kind].spec() for kind in CELL_KINDS},
        "channels": config.channels,
        "layers": config.layers,
        "nodes": config.nodes,
        "classes": engine.data.num_classes,
        "in_channels": engine.data.image_shape[0],
        "output": config.output,
        "skip_dropout": any(config.skip_dropout),
        "mask_absent": config.mask_absent,
    }


def first_network(config: PrdartsConfig, engine: Engine, pools: Mapping[str, CellPools]) -> Network:
    """The network of the first cycle."""
    return _network(config, engine, _module(config, engine, pools, 0))


def next_network(
    config: PrdartsConfig,
    engine: Engine,
    network: Network,
    pools: Mapping[str, CellPools],
    changes: Changes,
    cycle: int,
) -> Network:
    """The network of a further cycle: inherited weights, new architecture weights, new optimizers."""
    module, before = _module(config, engine, pools, cycle), network.module
    assert isinstance(before, SearchNetwork)
    if config.inherit_weights:
        everyone = config.reinit_children_every_cycle
        parents = {kind: _parents(pools[kind], changes[kind], everyone) for kind in CELL_KINDS}
        inherit(before, module, parents, generator(engine.seed, "transfer", cycle))
    made = _network(config, engine, module)
    made.steps = network.steps
    return made


def evaluation_network(config: PrdartsConfig, engine: Engine, cells: Genotype) -> Network:
    """The network that trains the found cells from fresh weights."""
    channels, height, width = engine.data.image_shape
    spec = {
        "family": "darts",
        "genotype": cells.to_json(),
        "channels": config.evaluation.channels,
        "layers": config.evaluation.layers,
        "classes": engine.data.num_classes,
        "in_channels": channels,
        "auxiliary": config.evaluation.auxiliary,
        "image_size": min(height, width),
        "output": config.output,
    }
    module = build(spec, generator(engine.seed, "initialise", "evaluation"))
    network = Network(1, module, weights=optimizer_of(config.evaluation.training))
    engine.place(network)
    return network


def _module(config: PrdartsConfig, engine: Engine, pools: Mapping[str, CellPools], cycle: int) -> SearchNetwork:
    module = build(search_spec(config, engine, pools), generator(engine.seed, "initialise", "cycle", cycle))
    assert isinstance(module, SearchNetwork)
    with torch.no_grad():
        for alpha in module.alphas.values():
            alpha.mul_(config.alpha_noise / ALPHA_STD)
    return module


def _network(config: PrdartsConfig, engine: Engine, module: SearchNetwork) -> Network:
    network = Network(0, module, **optimizers_of(config))
    engine.place(network)
    return network


def _parents(pools: CellPools, changes: Sequence[EdgeChange], everyone: bool) -> list[dict[int, int]]:
    """Parent by child per edge: of the newborn, or of everyone whose parent is alive."""
    if not everyone:
        return [change.born for change in changes]
    return [
        {
            int(child): parent
            for child, parent in edge.parents.items()
            if int(child) in edge.live and parent in edge.live
        }
        for edge in pools.edges
    ]
