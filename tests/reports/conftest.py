"""Figures as the tests of reports need them: coarse, or none."""

import pytest

from growsearch.reports import plot


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few pixels: what is drawn is the same."""
    monkeypatch.setattr(plot, "PRINT_DPI", 60)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are blank, where a test is about the text around them."""
    monkeypatch.setattr(plot, "_rendered", lambda height, paint, format: b'<svg width="1"></svg>')
