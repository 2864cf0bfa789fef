"""What can be said of a text without understanding it. Standard library only, the same for the same input."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b, sha256
from pathlib import Path
from random import Random
from typing import Final, TypedDict

WORDS_A_MINUTE: Final = 220
TERMS_OF_A_FILE: Final = 25
SHINGLE: Final = 4
PRIME: Final = (1 << 61) - 1
UNKNOWN: Final = "unknown"

WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
TERM: Final = re.compile(r"[^\W\d_]{3,}")
HEADING: Final = re.compile(r"^(?:#{1,6}[ \t]+\S.*|\S.*\n(?:={3,}|-{3,})[ \t]*)$", re.MULTILINE)
DEFINITION: Final = re.compile(r"^[ \t]*(?:async def|def|class)[ \t]+\w+", re.MULTILINE)
TAG: Final = re.compile(r"<h[1-6][ >]", re.IGNORECASE)
LINK: Final = re.compile(r"\[[^\]\n]*\]\([^)\s]+[^)\n]*\)|(?<![(\w])https?://[^\s<>\"')\]]+")
FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)

KINDS: Final[Mapping[str, str]] = {
    ".c": "C",
    ".css": "CSS",
    ".csv": "CSV",
    ".go": "Go",
    ".html": "HTML",
    ".java": "Java",
    ".js": "JavaScript",
    ".json": "JSON",
    ".lua": "Lua",
    ".md": "Markdown",
    ".py": "Python",
    ".rs": "Rust",
    ".rst": "reStructuredText",
    ".sh": "Shell",
    ".sql": "SQL",
    ".toml": "TOML",
    ".ts": "TypeScript",
    ".txt": "Text",
    ".xml": "XML",
    ".yaml": "YAML",
    ".yml": "YAML",
}

_LISTS: Final = {
    name: frozenset(words.split())
    for name, words in tomllib.loads(Path(__file__).with_name("little_words.toml").read_text("utf-8")).items()
}
LITTLE_WORDS: Final[Mapping[str, frozenset[str]]] = {
    name: words for name, words in _LISTS.items() if name != "keywords"
}
NO_TERMS: Final = frozenset[str]().union(*_LISTS.values())


class File(TypedDict):
    """A file that was found, and the name to show for it."""

    path: str
    name: str


class Row(TypedDict):
    """What was found out about one file."""

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
    fingerprint: str


def analyse(file: File, bits: int) -> Row:
    """What can be said of the file. *bits* is the length of its fingerprint. Raises OSError."""
    path = Path(file["path"])
    content = path.read_bytes()
    text = decoded(content)
    words = [word.lower() for word in WORD.findall(text)]
    kind = KINDS.get(path.suffix.lower(), path.suffix.lstrip(".").upper() or "Text")
    headings = HEADING.findall(text) if kind in ("Markdown", "Text", "reStructuredText") else []
    return Row(
        name=file["name"],
        kind=kind,
        language=language(words),
        title=headings[0].lstrip("# ").split("\n")[0].strip()[:100] if headings else "",
        bytes=len(content),
        lines=text.count("\n") + (not text.endswith("\n") and text != ""),
        words=len(words),
        headings=len(headings) or len(TAG.findall(text)) or len(DEFINITION.findall(text)),
        links=len(LINK.findall(text)),
        code_blocks=len(FENCE.findall(text)) // 2,
        minutes=round(len(words) / WORDS_A_MINUTE, 1),
        terms=commonest(Counter(t.lower() for t in TERM.findall(text)), TERMS_OF_A_FILE),
        sha256=sha256(content).hexdigest(),
        fingerprint=fingerprint(words, bits),
    )


def decoded(content: bytes) -> str:
    """The content as text: UTF-8, or else every byte as the character of that number."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def language(words: Sequence[str]) -> str:
    """The language whose little words are the most frequent, or "unknown" when hardly any are."""
    counts = Counter(words)
    hits = {name: sum(counts[word] for word in little) for name, little in LITTLE_WORDS.items()}
    best = max(sorted(hits), key=hits.__getitem__)
    return best if hits[best] >= max(5, len(words) // 20) else UNKNOWN


def commonest(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The terms with the highest counts, ties in the order of the alphabet."""
    terms = ((term, count) for term, count in counts.items() if term not in NO_TERMS)
    return sorted(terms, key=lambda item: (-item[1], item[0]))[:most]


def fingerprint(words: Sequence[str], bits: int) -> str:
    """One-bit MinHash over runs of words: the share of equal bits tells how similar two texts are.

    This is where the time goes: every run of words meets every one of *bits* hash functions.
    """
    runs = {" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}
    hashes = [int.from_bytes(blake2b(run.encode(), digest_size=7).digest()) for run in sorted(runs)]
    draw = Random(bits)  # noqa: S311 - the same functions for every file, on every machine
    value = 0
    for _ in range(bits):
        a, b = draw.randrange(1, PRIME), draw.randrange(PRIME)
        value = value << 1 | min([(a * h + b) % PRIME for h in hashes]) & 1
    return f"{value:0{bits // 4}x}"


def similarity(one: int, other: int, bits: int) -> float:
    """How much two texts have in common, from their fingerprints: about 0 for nothing, 1 for everything."""
    return max(0.0, 1 - 2 * (one ^ other).bit_count() / bits)
