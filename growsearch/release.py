"""Which release of growsearch is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    RELEASE = version("growsearch")
except PackageNotFoundError:
    RELEASE = "0+unknown"
