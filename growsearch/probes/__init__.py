"""Measurements of the methods: functions that leave tensors and modules as they are."""

from growsearch.probes.cost import Cost as Cost
from growsearch.probes.cost import cost as cost
from growsearch.probes.evbmf import evbmf as evbmf
from growsearch.probes.il_fs import il_fs as il_fs
from growsearch.probes.inf_fs import inf_fs as inf_fs
from growsearch.probes.kcs import kcs as kcs
from growsearch.probes.rank import rank_metrics as rank_metrics
from growsearch.probes.vip import vip as vip
