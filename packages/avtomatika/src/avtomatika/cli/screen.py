"""What people see: tables, a bar that moves, and plain lines where nothing can move."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from avtomatika.cli.refusal import FAILED

OVER: Final = frozenset({"finished", "failed", "cancelled", "quarantined"})
COLOURS: Final = {"finished": "green", "failed": "red", "quarantined": "red", "cancelled": "yellow"}
BAR_WIDTH: Final = 30


def is_over(job: Mapping[str, Any]) -> bool:
    """True when the job has ended."""
    return job["status"] in OVER


def exit_code(job: Mapping[str, Any]) -> int:
    """What a command exits with that waited for the job."""
    return 0 if job["status"] == "finished" else FAILED


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows under their heads, in columns as wide as they must be."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    head = "  ".join(cell.ljust(width) for cell, width in zip(heads, widths, strict=True))
    return "\n".join(line.rstrip() for line in (head, *lines))


def age(milliseconds: int) -> str:
    """A span in its largest unit."""
    seconds = max(0, milliseconds // 1_000)
    if seconds < 10:
        return f"{max(0, milliseconds) / 1_000:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def colour(status: str) -> str:
    """The status in its colour; click leaves the colour out where there is none."""
    return click.style(status, fg=COLOURS.get(status, "cyan"))


class Bar:
    """The progress of one job on standard error: a line that moves, or a line for every change."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()
        self._last: tuple[str, str, int] | None = None
        self._drawn = False

    def show(self, job: Mapping[str, Any]) -> None:
        """The job is shown as it stands."""
        progress = job.get("progress")
        done, total = (progress["done"], progress["total"]) if progress and "total" in progress else (0, 0)
        quarter = 4 * done // total if total else -1
        seen = (job["status"], job["current_state"], quarter)
        words = f"{job['current_state']} ({job['status']})"
        if self._moves:
            self._draw(f"{_filled(done, total)} {done}/{total}  {words}" if total else words)
        elif seen != self._last:
            click.echo(f"{words}: {done} of {total}" if total else words, err=True)
        self._last = seen

    def note(self, text: str) -> None:
        """The text has a line of its own above the bar."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """The line of the bar is empty."""
        if self._drawn:
            click.echo("\r\x1b[2K", nl=False, err=True)
            self._drawn = False

    def _draw(self, text: str) -> None:
        room = shutil.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[2K{text[:room]}", nl=False, err=True)
        self._drawn = True


def _filled(done: int, total: int) -> str:
    full = BAR_WIDTH * done // total
    try:
        "█".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return "[" + "#" * full + "-" * (BAR_WIDTH - full) + "]"
    return "█" * full + "░" * (BAR_WIDTH - full)
