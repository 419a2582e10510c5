"""Reports open in a browser without errors and without asking for anything."""

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from reports.report_runs import MAKERS, NAMES
from sampling import sampled

from growsearch.reports import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1000,2500"),
]


pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def browse(page: Path, profile: Path, action: str) -> str:
    """What the browser prints; fails on whatever the page makes it complain about."""
    command = [str(CHROMIUM), *QUIET, "--enable-logging=stderr", f"--user-data-dir={profile}", action, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("method", sampled(MAKERS, "densemann"))
def test_the_page_of_a_run_opens_in_chromium(method: str, tmp_path: Path) -> None:
    page = write_report([MAKERS[method](tmp_path / "run")])
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert dom.count("<svg") == 3 + len(NAMES[method])
    assert "How to repeat it" in dom and dom.rstrip().endswith("</html>")


def test_a_comparison_opens_and_is_painted(tmp_path: Path) -> None:
    page = write_report([maker(tmp_path / name) for name, maker in MAKERS.items()], output=tmp_path / "page.html")
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert dom.count("<svg") == 2 and "What was spent" in dom
    browse(page, tmp_path / "profile", f"--screenshot={tmp_path / 'page.png'}")
    with Image.open(tmp_path / "page.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
