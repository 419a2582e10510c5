"""Cells of candidate operations: the search network, the evaluation network and their genotypes."""
