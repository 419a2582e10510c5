"""The installed release of growsearch."""

from importlib.metadata import PackageNotFoundError, version

try:
    RELEASE = version("growsearch")
except PackageNotFoundError:
    RELEASE = "0+unknown"
