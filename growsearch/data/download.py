"""One file over HTTP: resumed where it broke off, checked, and in its place only when it is whole."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from torchvision.datasets.utils import check_integrity
from tqdm import tqdm

BLOCK = 1 << 18
ATTEMPTS = 5
BROKEN_OFF = (http.client.HTTPException, ConnectionError, TimeoutError)


def download(urls: str | Sequence[str], file: Path, md5: str) -> None:
    """Fetch ``file`` from the first of ``urls`` that gives it.

    What has come so far lies beside it as ``.part``, so that a connection that breaks off, or a process
    that is killed, costs nothing but the rest.

    Raises:
        OSError: if no address answers or there is no room.
        RuntimeError: if what came is not what the checksum says.
    """
    if check_integrity(file, md5):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    if part.is_symlink():
        part.unlink()
    problem: Exception = OSError("no address to fetch it from")
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            _fetch(url, part)
            if not check_integrity(part, md5):
                part.unlink()
                raise RuntimeError(f"{url} gave a file of another checksum than {md5}")
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            problem = error
            continue
        part.replace(file)
        return
    raise problem


def _fetch(url: str, part: Path) -> None:
    """Make ``part`` complete; a connection that breaks off is taken up again as long as something comes."""
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            _receive(url, part)
            return
        except urllib.error.HTTPError as error:
            if error.code != 416 or before == 0:  # 416: there is nothing behind what has come
                raise
            part.unlink()
        except BROKEN_OFF:
            if attempt == ATTEMPTS - 1 or (attempt > 0 and _size(part) == before):
                raise


def _receive(url: str, part: Path) -> None:
    have = _size(part)
    headers = {"User-Agent": "growsearch", **({"Range": f"bytes={have}-"} if have else {})}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
        resumed = response.status == 206
        have = have if resumed else 0
        length = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        if length is not None and length > shutil.disk_usage(part.parent).free:
            raise OSError(f"no space left for {length / 1e6:.0f} MB in {part.parent}")
        total = None if length is None else have + length
        bar = tqdm(total=total, initial=have, desc=part.stem, unit="B", unit_scale=True, disable=None, leave=False)
        with part.open("ab" if resumed else "wb") as out, bar:
            while block := response.read(BLOCK):
                out.write(block)
                bar.update(len(block))
    if total is not None and _size(part) < total:
        raise ConnectionError(f"{url} broke off after {_size(part)} of {total} bytes")


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
