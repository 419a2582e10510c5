"""Networks by spec: ``build(spec)`` and ``module.spec()`` are inverse."""

from growsearch.networks.registry import build, register

__all__ = ["build", "register"]
