"""Reports open in a browser without errors and without asking for anything."""

import shutil
import subprocess
from pathlib import Path

import pytest
from reports.report_runs import MAKERS

from growsearch.reports import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1000,2500"),
]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_report_opens_in_chromium(tmp_path: Path) -> None:
    page = write_report([MAKERS["prdarts"](tmp_path / "run")])
    picture = tmp_path / "page.png"
    command = [str(CHROMIUM), *QUIET, "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    assert picture.stat().st_size > 50_000
    dom = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert dom.count("<svg") == 5 and "The found cells" in dom and dom.rstrip().endswith("</html>")
