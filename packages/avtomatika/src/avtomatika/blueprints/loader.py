"""Blueprints in files: a module or a file is run as Python would run it, a folder file by file (row A16)."""

import importlib
import importlib.util
import os
import sys
import traceback
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.errors import ConfigError

OURS: Final = "avtomatika_file"
"""What the name of a module begins with when something else has the name of its file."""


class LoadFailed(ConfigError):
    """A file cannot be loaded."""

    def __init__(self, place: str, line: int | None, reason: str) -> None:
        where = place if line is None else f"{place}:{line}"
        super().__init__(f"{where}: cannot be loaded: {reason}")
        self.where, self.reason = where, reason


def blueprints_of(values: Iterable[object]) -> tuple[Blueprint, ...]:
    """The blueprints among the values, each once, in order."""
    return tuple({id(value): value for value in values if isinstance(value, Blueprint)}.values())


def files_in(folder: Path) -> list[Path]:
    """The Python files of the folder whose names do not begin with `_`, sorted. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}.")
    return sorted(file for file in folder.glob("*.py") if file.is_file() and not file.name.startswith("_"))


def load_folder(folder: Path) -> list[tuple[Path, Blueprint]]:
    """Every blueprint at the top level of the files of the folder, each once, with the file that has it.

    Raises LoadFailed with the name and the line of a file that is broken, ConfigError without a folder.
    """
    found: dict[int, tuple[Path, Blueprint]] = {}
    for file in files_in(folder):
        for blueprint in blueprints_of(vars(load(str(file))).values()):
            found.setdefault(id(blueprint), (file, blueprint))
    return list(found.values())


def load(place: str) -> ModuleType:
    """The module of that name or in that file, run once. Raises LoadFailed; ConfigError for no file."""
    is_file = place.endswith(".py") or os.sep in place or "/" in place
    path = Path(place)
    if is_file and not path.is_file():
        raise ConfigError(f"There is no file {place}.")
    folder = str(path.resolve().parent) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _run_file(path) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise LoadFailed(place, _line(error, path.resolve()), _said(error, path.resolve())) from error


def _run_file(path: Path) -> ModuleType:
    # The name under which a sibling would import it, and may have; unless something else has that name.
    file = str(path.resolve())
    other = f"{OURS}_{zlib.crc32(file.encode()):08x}_{path.stem}"
    for name in (path.stem, other):
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == file:
            return known
    name = path.stem if path.stem not in sys.modules else other
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _line(error: BaseException, path: Path) -> int | None:
    """The line of the file that the error came through, the last of them."""
    return next((line for file, line in reversed(_trail(error)) if file == str(path)), None)


def _said(error: BaseException, path: Path) -> str:
    """The kind of the error and its message, and the file and line when it came from elsewhere."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    trail = [(file, line) for file, line in _trail(error) if not file.startswith("<")]
    file, line = trail[-1] if trail else (str(path), None)
    where = "" if file == str(path) else f" ({Path(file).name}, line {line})"
    return f"{type(error).__name__}: {text}{where}"


def _trail(error: BaseException) -> list[tuple[str, int | None]]:
    """The files and lines that the error came through, the innermost last."""
    trail = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    # The line that is no Python was read, not run.
    return [*trail, (error.filename or "?", error.lineno)] if isinstance(error, SyntaxError) else trail
