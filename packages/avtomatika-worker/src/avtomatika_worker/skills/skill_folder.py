"""Skills from a folder of Python files."""

import importlib.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["SKILL_PACKAGE", "skill_module", "skill_modules"]

SKILL_PACKAGE: Final = "avtomatika_skills."

_log = logging.getLogger(__name__)


def skill_modules(folder: Path) -> Iterator[ModuleType]:
    """The imported modules of ``folder``, by name, without those that begin with an underscore.

    A file that cannot be imported is logged and skipped. A folder that does not exist is empty.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            yield skill_module(path)
        except Exception:  # noqa: BLE001 - user code
            _log.exception("The skills in %s cannot be loaded", path)


def skill_module(file: str | Path) -> ModuleType:
    """The module in ``file``, imported. Raises whatever it raises."""
    path = Path(file)
    name = SKILL_PACKAGE + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
