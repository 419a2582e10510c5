"""Networks by spec: ``build(spec)`` and ``module.spec()`` are inverse."""

from growsearch.networks.registry import build, parameter_count, register

__all__ = ["build", "parameter_count", "register"]
