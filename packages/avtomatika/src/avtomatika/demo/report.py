"""The report: one page that needs nothing else, and the same as JSON."""

import json
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final, TypedDict

from collecting import REPORTS, Skipped, Summary

TEMPLATE: Final = Path(__file__).with_name("page.html")
BAR: Final = 22
"""Height of a row of a chart, in pixels."""
WIDE: Final = (600, 140)
NARROW: Final = (460, 120)
"""Width of a chart, and of the names in it."""


class Line(TypedDict):
    """A row of the table of files."""

    name: str
    kind: str
    language: str
    title: str
    bytes: int
    lines: int
    words: int
    headings: int
    links: int
    code_blocks: int
    minutes: float
    terms: list[tuple[str, int]]
    sha256: str


class Contents(TypedDict):
    """What the report is made of, and the folder for it."""

    summary: Summary
    workers: dict[str, int]
    skipped: list[Skipped]
    rows: list[Line]
    out: str


class Written(TypedDict):
    """Where the report is."""

    html: str
    json: str


def write(contents: Contents) -> Written:
    """Both files are whole in the folder, in place of earlier ones."""
    out = Path(contents["out"]).absolute()
    out.mkdir(parents=True, exist_ok=True)
    html, data = (out / name for name in REPORTS)
    replace(html, page(contents))
    kept = {key: value for key, value in contents.items() if key != "out"}
    replace(data, json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return Written(html=str(html), json=str(data))


def replace(path: Path, text: str) -> None:
    """The file holds the text; whoever reads meanwhile sees all of the old or all of the new."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)


def page(contents: Contents) -> str:
    """The page as HTML."""
    summary = contents["summary"]
    numbers = [
        ("files", number(summary["files"])),
        ("words", number(summary["words"])),
        ("lines", number(summary["lines"])),
        ("headings", number(summary["headings"])),
        ("links", number(summary["links"])),
        ("reading time", duration(summary["minutes"])),
    ]
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        files=number(summary["files"]),
        words=number(summary["words"]),
        workers=number(len(contents["workers"])),
        digest=escape(summary["digest"]),
        numbers="\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers),
        terms=chart("Most frequent terms", summary["terms"], WIDE),
        kinds=chart("Kinds of file", summary["kinds"], NARROW),
        languages=chart("Languages", summary["languages"], NARROW),
        shares=chart("Files analysed by each worker", sorted(contents["workers"].items()), NARROW),
        rows="\n".join(row(line) for line in contents["rows"]),
        alike=alike(summary),
        skipped=left_out(contents["skipped"]),
    )


def chart(title: str, values: Sequence[tuple[str, int]], size: tuple[int, int]) -> str:
    """A bar for each value, with its name and its number; the numbers are text, so that all can read them."""
    if not values:
        return '<p class="none">Nothing to show.</p>'
    most = max(value for _, value in values) or 1
    width, label = size
    room, letters = width - label - 70, label // 7
    bars: list[str] = []
    for n, (name, value) in enumerate(values):
        y, length = n * BAR, max(2, room * value / most)
        shown = name if len(name) <= letters else f"{name[: letters - 1]}…"
        bars.append(
            f'<text class="name" x="{label - 10}" y="{y + 15}">{escape(shown)}</text>'
            f'<rect x="{label}" y="{y + 3}" width="{length:.1f}" height="{BAR - 7}" rx="3"/>'
            f'<text x="{label + length + 7:.1f}" y="{y + 15}">{number(value)}</text>'
        )
    said = escape(f"{title}: " + ", ".join(f"{name} {value}" for name, value in values))
    body = "\n".join(bars)
    return f'<svg viewBox="0 0 {width} {len(values) * BAR}" role="img" aria-label="{said}">\n{body}\n</svg>'


def row(line: Line) -> str:
    """A file as a row of the table."""
    name = escape(line["name"]).replace("/", "/<wbr>")
    terms = ", ".join(term for term, _ in line["terms"][:5])
    title = f"<small>{escape(line['title'])}</small>" if line["title"] else ""
    counts = (line["words"], line["lines"], line["headings"], line["links"])
    cells = "".join(f"<td class=n>{number(count)}</td>" for count in counts)
    return (
        f"<tr><th scope=row>{name}{title}</th>"
        f"<td>{escape(line['kind'])}</td><td>{escape(line['language'])}</td>{cells}"
        f"<td class=n>{line['minutes']:g}</td><td class=terms>{escape(terms)}</td>"
        f'<td><code title="{escape(line["sha256"])}">{escape(line["sha256"][:10])}</code></td></tr>'
    )


def alike(summary: Summary) -> str:
    """The pairs of files that have much in common."""
    return items(
        (f"{escape(p['one'])} and {escape(p['other'])}: {p['percent']} %" for p in summary["alike"]),
        "No two files have much in common.",
    )


def left_out(skipped: Sequence[Skipped]) -> str:
    """The files that were not read."""
    return items((f"{escape(s['name'])}: {escape(s['why'])}" for s in skipped), "No file was left out.")


def items(lines: Iterable[str], none: str) -> str:
    """A list of the lines, or the sentence for when there are none."""
    body = "".join(f"<li>{line}</li>" for line in lines)
    return f"<ul>{body}</ul>" if body else f'<p class="none">{none}</p>'


def number(value: int) -> str:
    """The number in groups of three digits, with a space that does not break."""
    return f"{value:,}".replace(",", "\u202f")


def duration(minutes: float) -> str:
    """Minutes as hours and minutes."""
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
