"""What leaves a run: its network, to be loaded elsewhere."""

from growsearch.deploy.archive import load_network, save_network
from growsearch.deploy.load import load, network_folder

__all__ = ["load", "load_network", "network_folder", "save_network"]
