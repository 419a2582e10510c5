"""Change the channels of any network, in either direction: groups, remap, widen, prune, transaction.

Surgery replaces tensors and never writes into one.
"""

from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.complement import complementary_filters
from growsearch.surgery.discovery import channel_groups, editable_share, prunable_share
from growsearch.surgery.prune import prune
from growsearch.surgery.remap import Slab, remap
from growsearch.surgery.replace import replace
from growsearch.surgery.structure import structure_changed, structure_version
from growsearch.surgery.transaction import Snapshot, transaction
from growsearch.surgery.variables import Variable, variables
from growsearch.surgery.widen import widen

__all__ = [
    "Axis",
    "ChannelGroup",
    "ChannelMap",
    "Slab",
    "Snapshot",
    "Variable",
    "channel_groups",
    "complementary_filters",
    "editable_share",
    "prunable_share",
    "prune",
    "remap",
    "replace",
    "structure_changed",
    "structure_version",
    "transaction",
    "variables",
    "widen",
]
