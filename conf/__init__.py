"""The configurations that Hydra composes; a package, so that they are found wherever growsearch is installed."""
