"""A report as a browser's parser sees it."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

ACTIVE = {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "animate", "set"}


class Page(HTMLParser):
    """Counts elements, collects text, and fails on whatever runs or loads something."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] += 1
        assert tag not in ACTIVE, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("href", "src", "xlink:href", "action"):
                assert value is not None and value.startswith(("#", "./", "data:image/png;base64,")), value

    def handle_data(self, data: str) -> None:
        self.text += data
