"""The command line: ``avtomatika-worker run module:attribute``."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from avtomatika_worker.errors import WorkerError
from avtomatika_worker.worker import Worker

__all__ = ["main"]


class _UsageError(Exception):
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named worker; the exit code, 1 with a line on standard error when it cannot start."""
    options = _parser().parse_args(arguments)
    try:
        worker = _load(options.app)
        if options.health_check:
            worker.run_with_health_check()
        else:
            worker.run()
    except (_UsageError, WorkerError) as error:
        print(f"avtomatika-worker: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="avtomatika-worker", description="Runs Avtomatika workers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a worker until it is told to stop")
    run.add_argument("app", metavar="MODULE:ATTRIBUTE", help="where the Worker is, such as app:worker")
    run.add_argument("--health-check", action="store_true", help="answer /health and /ready on WORKER_PORT")
    return parser


def _load(app: str) -> Worker:
    module_name, colon, attribute = app.partition(":")
    if not (module_name and colon and attribute):
        raise _UsageError(f"{app!r} is not of the form module:attribute")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise _UsageError(f"cannot import {module_name!r}: {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise _UsageError(f"{module_name!r} has no attribute {attribute!r}")
        found = getattr(found, name)
    if not isinstance(found, Worker):
        raise _UsageError(f"{app!r} is a {type(found).__name__}, not a Worker")
    return found
