"""What the documents hold: fenced blocks with the marks that say what to do with them, and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<verb>run|rxon|frame): (?P<rest>[^>]+?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_PICTURE = re.compile(r"(?:src|srcset)=\"(?P<target>[^\"]+)\"")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the mark before it (`<!-- run: check -->`), if any."""

    language: str
    text: str
    verb: str | None
    rest: str
    line: int


class Link(NamedTuple):
    """A link of a page, its target relative to it."""

    text: str
    target: str


def documents() -> list[Path]:
    """Every document of the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("packages/*/README.md"), *ROOT.glob("examples/*/README.md")]
    return sorted([*found, *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    """The path of the page below the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of the page, in order."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Block(found["language"], found["text"], found["verb"], found["rest"] or "", line)


def links(page: Path) -> Iterator[Link]:
    """The links and pictures of the page that stay within the repository."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    found = [Link(link["text"], link["target"]) for link in _LINK.finditer(text)]
    found += [Link("", link["target"]) for link in _PICTURE.finditer(text)]
    return (link for link in found if not link.target.startswith(("http://", "https://", "mailto:")))
