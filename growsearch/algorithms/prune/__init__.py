"""Structured pruning of any network to a budget: groups as in DepGraph (CVPR 2023), ranked and cut, then fine-tuned."""
