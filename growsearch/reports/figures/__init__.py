"""Figures of a run and of several, each from its record alone."""
