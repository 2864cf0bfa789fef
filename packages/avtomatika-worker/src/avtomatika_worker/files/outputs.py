"""The files of a task that its result names."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from avtomatika_worker.files.spots import Spot, spots

__all__ = ["Output", "marks_of", "outputs_of"]


class Output(NamedTuple):
    """A file or folder of the task, everywhere the result names it. ``name`` is its path in the folder."""

    path: Path
    name: str
    spots: list[Spot]


def marks_of(root: Path) -> tuple[bytes, ...]:
    """What is found in JSON that names something below ``root``."""
    return tuple(msgspec.json.encode(text)[1:-1] for text in _spellings(root))


def outputs_of(data: dict[str, Any], root: Path) -> list[Output]:
    """What the absolute paths in ``data`` name, if it is in the folder ``root`` of the task.

    What is not there, or only seems to be in the folder, is none of its outputs.
    """
    found: dict[Path, Output] = {}
    beginnings, inside = _spellings(root), root.resolve()
    for spot in spots(data):
        if not spot.text.startswith(beginnings) or "\0" in spot.text:
            continue
        path = Path(spot.text).resolve()
        if not path.is_relative_to(inside) or not path.exists():
            continue
        if path not in found:
            name = path.relative_to(inside).as_posix()
            found[path] = Output(path, "" if name == "." else name, [])
        found[path].spots.append(spot)
    return list(found.values())


def _spellings(root: Path) -> tuple[str, ...]:
    return tuple({str(root), str(root.absolute()), str(root.resolve())})
