"""Reports on run folders: a page for one run, a comparison for several. Nothing but run folders is read."""

from growsearch.reports.write import write_report

__all__ = ["write_report"]
