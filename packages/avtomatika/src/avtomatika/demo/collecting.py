"""Which files to read, and what all of them together come to."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Final, TypedDict

from analysis import WORDS_A_MINUTE, File, Row, analyse, commonest, similarity

REPORTS: Final = ("report.html", "report.json")
MOST_FILES: Final = 1_000
LARGEST_FILE: Final = 1 << 20
TOP_TERMS: Final = 20
TOP_PAIRS: Final = 20
ALIKE: Final = 0.4
SHORTEST_COMPARED: Final = 30
NOT_ENTERED: Final = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages"})


class Skipped(TypedDict):
    """A file that is not read, and why."""

    name: str
    why: str


class Listing(TypedDict):
    """The files to read, in the order of their names, and those that are left out."""

    files: list[File]
    skipped: list[Skipped]


class Pair(TypedDict):
    """Two files that have much in common."""

    one: str
    other: str
    percent: int


class Summary(TypedDict):
    """All files together. The digest stands for every row and every total."""

    files: int
    bytes: int
    lines: int
    words: int
    headings: int
    links: int
    minutes: float
    kinds: list[tuple[str, int]]
    languages: list[tuple[str, int]]
    terms: list[tuple[str, int]]
    alike: list[Pair]
    digest: str


def find(roots: Sequence[str], suffixes: Sequence[str], out: str) -> Listing:
    """The files in and under *roots*, all or those with the suffixes, but no report that is in *out*.

    What is no text is left out with a note. Raises ValueError when there is no root.
    """
    reports = {Path(out, name).resolve() for name in REPORTS}
    base = os.path.commonpath([os.path.dirname(r) if os.path.isfile(r) else r for r in roots])
    found = {path.resolve(): None for root in roots for path in walk(Path(root), frozenset(suffixes))}
    files: list[File] = []
    skipped: list[Skipped] = []
    for path in sorted(found.keys() - reports):
        name = Path(os.path.relpath(path, os.path.realpath(base))).as_posix()
        why = unreadable(path) if len(files) < MOST_FILES else f"more than {MOST_FILES} files"
        if why is None:
            files.append(File(path=str(path), name=name))
        else:
            skipped.append(Skipped(name=name, why=why))
    return Listing(files=files, skipped=skipped)


def walk(root: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """The files at or under *root*; hidden and built folders are not entered, links not followed."""
    if root.is_file():
        yield root
        return
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name not in NOT_ENTERED and not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        yield from (p for p in paths if not p.is_symlink() and (not suffixes or p.suffix in suffixes))


def unreadable(path: Path) -> str | None:
    """Why the file is not read, or None."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return f"larger than {LARGEST_FILE >> 20} MiB"
        with path.open("rb") as file:
            return "binary" if b"\0" in file.read(8_192) else None
    except OSError as error:
        return error.strerror or "unreadable"


def summarise(rows: Sequence[Row]) -> Summary:
    """What the rows come to, whatever their order."""
    ordered = sorted(rows, key=lambda row: row["name"])
    terms: Counter[str] = Counter()
    for row in ordered:
        terms.update(dict(row["terms"]))
    words = sum(row["words"] for row in ordered)
    summary = Summary(
        files=len(ordered),
        bytes=sum(row["bytes"] for row in ordered),
        lines=sum(row["lines"] for row in ordered),
        words=words,
        headings=sum(row["headings"] for row in ordered),
        links=sum(row["links"] for row in ordered),
        minutes=round(words / WORDS_A_MINUTE, 1),
        kinds=commonest(Counter(row["kind"] for row in ordered), TOP_TERMS),
        languages=commonest(Counter(row["language"] for row in ordered), TOP_TERMS),
        terms=commonest(terms, TOP_TERMS),
        alike=alike(ordered),
        digest="",
    )
    summary["digest"] = sha256(json.dumps([summary, ordered], sort_keys=True).encode()).hexdigest()
    return summary


def alike(rows: Sequence[Row]) -> list[Pair]:
    """The pairs of files with the most in common; short ones are not compared."""
    prints = [(row["name"], row["fingerprint"]) for row in rows if row["words"] >= SHORTEST_COMPARED]
    numbers = [(name, int(text, 16), 4 * len(text)) for name, text in prints]
    pairs = (
        Pair(one=one, other=other, percent=round(100 * similarity(a, b, bits)))
        for (one, a, bits), (other, b, _) in combinations(numbers, 2)
    )
    close = [pair for pair in pairs if pair["percent"] >= 100 * ALIKE]
    return sorted(close, key=lambda pair: (-pair["percent"], pair["one"], pair["other"]))[:TOP_PAIRS]


def directly(roots: Sequence[str], suffixes: Sequence[str], out: str, bits: int) -> Summary:
    """What the pipeline must come to, worked out here and now without it. Raises OSError."""
    return summarise([analyse(file, bits) for file in find(roots, suffixes, out)["files"]])
