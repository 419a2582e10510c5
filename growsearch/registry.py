"""Methods by name, found without importing any of them.

Another installed package adds a method of its own with an entry point of the group
``growsearch.algorithms`` that names its ``Algorithm`` subclass; the class's ``Config`` attribute is
the dataclass of its options, and ``PLANS``, if it has one, what each schedule sets. An entry point of the
same name in the group ``growsearch.papers`` names the :class:`~growsearch.reports.paper.Paper` of the
method: its figures and tables.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from growsearch import plugins
from growsearch.errors import UserError
from growsearch.options import did_you_mean


@dataclass(frozen=True)
class Method:
    """A method: where its class, options and paper are, as ``module:name``, and what it is in a line.

    ``takes_network`` tells whether it looks at the group ``network``.
    """

    name: str
    search: str
    config: str
    summary: str
    paper: str = ""
    takes_network: bool = True

    def search_class(self) -> type:
        """Import the method (and torch with it)."""
        return _resolve(self.search)

    def config_class(self) -> type:
        """Import the options; torch stays out for the methods of this package."""
        return _resolve(self.config) if self.config else self.search_class().Config  # type: ignore[attr-defined]


def _own(name: str, search: str, config: str, summary: str, takes_network: bool = True) -> Method:
    package = f"growsearch.algorithms.{name}"
    paper = "" if name == "fixed" else f"{package}.paper:PAPER"
    return Method(name, f"{package}.search:{search}", f"{package}.config:{config}", summary, paper, takes_network)


OWN = (
    _own("fixed", "Fixed", "FixedConfig", "trains one given network: baselines and retraining"),
    _own("densemann", "Densemann", "DensemannConfig", "grows a DenseNet filter by filter and layer by layer", False),
    _own("prdarts", "Prdarts", "PrdartsConfig", "prunes and replaces a DARTS supernet's candidate operations", False),
    _own("ectonas", "Ectonas", "EctonasConfig", "evolves convolutional and dense networks across topologies"),
    Method(
        "ectonas_pooling",
        "growsearch.algorithms.ectonas.pooling_trial:PoolingTrial",
        "growsearch.algorithms.ectonas.pooling_config:PoolingTrialConfig",
        "what a pooling put into a trained network costs (ECToNAS, table 4)",
        paper="growsearch.algorithms.ectonas.paper:PAPER",
        takes_network=False,
    ),
    _own("conet", "Conet", "ConetConfig", "scales every channel size of a CNN from the rank of its weights"),
    _own("prune", "Prune", "PruneConfig", "cuts the least important channels of any network down to a budget"),
    _own("grow", "Grow", "GrowConfig", "grows any network up to a budget while it trains"),
    _own("stagewise", "Stagewise", "StagewiseConfig", "deepens the stages whose features matter"),
)


def methods() -> dict[str, Method]:
    """All methods by name: this package's, then those of other installed packages."""
    found = {method.name: method for method in OWN}
    for name, point in plugins.points(plugins.ALGORITHMS).items():
        found.setdefault(name, Method(name, point.value, "", plugins.summary(point)))
    return found


def papers() -> dict[str, Any]:
    """Figures and tables of methods, by method; torch is not imported. Methods without a paper are left out."""
    names = [*(method.name for method in OWN), *plugins.points(plugins.PAPERS)]
    return {name: found for name in dict.fromkeys(names) if (found := paper(name)) is not None}


def paper(name: str) -> Any:
    """Those of one method; None if it is not known or has none."""
    for method in OWN:
        if method.name == name and method.paper:
            return _resolve(method.paper)
    point = plugins.points(plugins.PAPERS).get(name)
    return None if point is None else plugins.loaded(point)


def method(name: str) -> Method:
    """One method.

    Raises:
        UserError: if there is none of that name.
    """
    known = methods()
    if name not in known:
        raise UserError(f"algo.name: {name!r} is no method; use one of {', '.join(known)}{did_you_mean(name, known)}")
    return known[name]


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
