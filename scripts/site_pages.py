"""Pages of the documentation site that are made from other files: README, changelog, methods, and docstrings."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

COPIED = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"} | {
    f"methods/{readme.parent.name}.md": readme.relative_to(ROOT).as_posix()
    for readme in sorted(ROOT.glob("growsearch/algorithms/*/README.md"))
}
"""Pages, and the files that they are."""

DOCSTRINGS = {
    "python": (
        "Python",
        [
            "growsearch.api.start.run",
            "growsearch.api.results.Run",
            "growsearch.api.listing.runs",
            "growsearch.api.comparison",
            "growsearch.deploy.load.load",
        ],
    ),
    "surgery": (
        "Surgery",
        [
            "growsearch.surgery.discovery.channel_groups",
            "growsearch.surgery.channels.ChannelGroup",
            "growsearch.surgery.channels.Axis",
            "growsearch.surgery.widen.widen",
            "growsearch.surgery.prune.prune",
            "growsearch.surgery.remap.remap",
            "growsearch.surgery.transaction.transaction",
            "growsearch.surgery.scores",
        ],
    ),
    "events": ("Events", ["growsearch.events"]),
}
"""Pages of the reference: title and what is shown of the package."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files of docs/."""
    for name, source in COPIED.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    for name, (title, shown) in DOCSTRINGS.items():
        text = "\n\n".join([f"# {title}", *(f"::: {place}" for place in shown)])
        files.append(File.generated(config, f"reference/{name}.md", content=text + "\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links between files of the repository to their pages; what has no page becomes plain text."""
    here = page.file.src_uri
    source = COPIED.get(here, f"docs/{here}")
    pages = {path: name for name, path in COPIED.items()}

    def relink(found: re.Match[str]) -> str:
        mark, text, target, part = found.groups()
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        to = pages.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if to is None:
            if not (ROOT / path).exists():
                return found[0]  # left for the strict build to complain about
            return text
        return f"{mark}[{text}]({posixpath.relpath(to, posixpath.dirname(here) or '.')}{part or ''})"

    return _LINK.sub(relink, markdown)
