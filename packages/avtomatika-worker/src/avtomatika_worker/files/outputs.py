"""The files of a task that its result names."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from avtomatika_worker.files.spots import Spot, spots

__all__ = ["Output", "marks_of", "outputs_of"]

_log = logging.getLogger(__name__)


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

    What is not there, which is on the log, or only seems to be in the folder, is none of its outputs.
    """
    found: dict[Path, Output] = {}
    beginnings, inside = _spellings(root), root.resolve()
    for spot in spots(data):
        if not spot.text.startswith(beginnings) or "\0" in spot.text:
            continue
        path = Path(spot.text).resolve()
        if not path.is_relative_to(inside):
            continue
        if not path.exists():
            _log.warning("%r of the result names no file, and goes out as it is: %s", spot.path, path)
            continue
        if path not in found:
            name = path.relative_to(inside).as_posix()
            found[path] = Output(path, "" if name == "." else name, [])
        found[path].spots.append(spot)
    return list(found.values())


def _spellings(root: Path) -> tuple[str, ...]:
    return tuple({str(root), str(root.absolute()), str(root.resolve())})
