"""Runs from top to bottom: :func:`start` and :func:`resume`."""

from growsearch.runner.start import resume, start

__all__ = ["resume", "start"]
