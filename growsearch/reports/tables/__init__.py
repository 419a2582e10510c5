"""The tables of the five papers, ours beside the printed numbers."""

from collections.abc import Callable

from growsearch.reports.tables import conet, densemann, ectonas, prdarts, stagewise
from growsearch.reports.tables.layout import Table

TABLES: dict[str, Callable[[], Table]] = {
    "densemann-1": densemann.table1,
    "densemann-2": densemann.table2,
    "prdarts-1": prdarts.table1,
    "prdarts-2": prdarts.table2,
    "prdarts-3": prdarts.table3,
    "ectonas-1": ectonas.table1,
    "ectonas-2": ectonas.table2,
    "ectonas-3": ectonas.table3,
    "ectonas-4": ectonas.table4,
    "ectonas-5": ectonas.table5,
    "ectonas-6": ectonas.table6,
    "conet-2": conet.table2,
    "conet-3": conet.table3,
    "conet-4": conet.table4,
    "stagewise-1": stagewise.table1,
    "stagewise-2": stagewise.table2,
    "stagewise-3": stagewise.table3,
    "stagewise-4": stagewise.table4,
    "stagewise-5": stagewise.table5,
    "stagewise-6": stagewise.table6,
}
"""By method and number in its paper."""
