from attacks.stranger import run, whole_run

__all__ = ["run", "whole_run"]
