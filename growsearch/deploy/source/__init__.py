"""A network as readable Python that needs torch alone."""

from growsearch.deploy.source.file import write_python

__all__ = ["write_python"]
