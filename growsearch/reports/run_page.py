"""The page of one run."""

from collections.abc import Callable
from functools import partial

from growsearch.reports.facts import configuration, costs, identity, key_figures, networks, notes
from growsearch.reports.figures import (
    architecture,
    cells,
    conet,
    densemann,
    ectonas,
    family_tree,
    prdarts,
    speed,
    stagewise,
)
from growsearch.reports.figures.timeline import story
from growsearch.reports.markup import shown, tag
from growsearch.reports.page import Report, tiles
from growsearch.reports.plot import Drawing
from growsearch.reports.record import RunRecord

METHOD_FIGURES: dict[str, Callable[[RunRecord], Drawing | None]] = {
    "connection strengths": densemann.strengths,
    "layers and filters": densemann.growth,
    "pools": prdarts.pools,
    "cells": cells.cells,
    "family tree": family_tree.family_tree,
    "lineage": ectonas.lineage,
    "channels": conet.channels,
    "ranks": conet.ranks,
    "depth vectors": stagewise.depths,
    "stage scores": stagewise.scores,
}
"""Each draws what it needs to find in the record and is silent about runs of other methods."""


def run_page(record: RunRecord) -> Report:
    """Story, network, the method's own figures, cost, configuration."""
    report = Report(record.title, remarks=list(record.remarks))
    report.add(tag("p", shown(str(record.path), 300), class_="quiet"), identity(record), tiles(key_figures(record)))
    if not record.result:
        report.add(tag("p", "This run is not finished: there is no result yet.", class_="card"))
    report.add(notes(record))
    report.heading("What happened")
    if not report.figure(partial(story, record), "story"):
        report.add(tag("p", f"{len(record.epochs)} epochs and {len(record.of('edit'))} structural changes."))
    report.heading("What was found")
    if not report.figure(partial(architecture.architecture, record), "architecture"):
        report.add(tag("p", "The whole architecture is in network/architecture.json."))
    report.add(networks(record))
    report.heading("How the method came to it")
    drawn = [report.figure(partial(make, record), what) for what, make in METHOD_FIGURES.items()]
    if not any(drawn):
        report.add(tag("p", "This method tells nothing beside its epochs and changes.", class_="quiet"))
    report.heading("What it cost")
    report.add(costs(record))
    report.figure(partial(speed.speed, record), "speed")
    report.heading("How to repeat it")
    report.add(configuration(record))
    return report
