"""Finds the worker that a command names."""

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from avtomatika_worker.errors import WorkerError
from avtomatika_worker.worker import Worker

__all__ = ["UsageError", "load_worker"]


class UsageError(WorkerError):
    """What was asked for cannot be done; the message says what to do instead."""


def load_worker(app: str) -> Worker:
    """The worker that ``app``, as ``module:attribute``, names; modules of the current folder are found.

    Raises UsageError.
    """
    module_name, colon, attribute = app.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{app!r} is not of the form module:attribute, such as app:worker for app.py")
    sys.path.insert(0, os.getcwd())
    found: Any = _import(module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{module_name!r} has no attribute {attribute!r}{_hint(module_name, found)}")
        found = getattr(found, name)
    if not isinstance(found, Worker):
        raise UsageError(f"{app!r} is a {type(found).__name__}, not a Worker")
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0]:
            hint = (
                f"there is no {name.replace('.', '/')}.py in {os.getcwd()}, and no such package is installed"
            )
            raise UsageError(f"cannot import {name!r}: {hint}") from error
        raise UsageError(f"cannot import {name!r}: {error}{_where(error)}; is it installed?") from error
    except (Exception, SystemExit) as error:  # of the user's module
        raise UsageError(f"cannot import {name!r}: {type(error).__name__}: {error}{_where(error)}") from error


def _where(error: BaseException) -> str:
    """The line of the user's that raised it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    own = [frame for frame in frames if frame.filename not in (__file__, importlib.__file__)]
    return f" ({os.path.relpath(own[-1].filename)}, line {own[-1].lineno})" if own else ""


def _hint(module_name: str, module: Any) -> str:
    """What may have been meant."""
    if not isinstance(module, ModuleType):
        return ""
    workers = sorted(name for name, value in vars(module).items() if isinstance(value, Worker))
    return f"; did you mean {', '.join(f'{module_name}:{name}' for name in workers)}?" if workers else ""
