import torch

from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.search_edge import SearchEdge


def test_what_skip_dropout_leaves_is_scaled_up():
    edge = SearchEdge([(0, parse("skip"))], 0, 4, 1).train()
    dropped = edge._dropped(torch.ones(4, 4, 8, 8), torch.tensor(0.75))
    assert dropped.unique().tolist() == [0.0, 4.0]
