"""What the methods measure: functions of tensors and modules that leave them as they are."""

from growsearch.probes.cost import Cost as Cost
from growsearch.probes.cost import cost as cost
