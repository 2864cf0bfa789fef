"""Tables as text."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Made by docs/generate.py; changes belong there. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with these cells."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """The text as code, or nothing for no text."""
    return f"`{text}`" if text else ""
