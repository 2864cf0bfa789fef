"""The command line: ``avtomatika-worker run module:attribute`` and ``check module:attribute``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from avtomatika_worker.cli.loading import UsageError, load_worker
from avtomatika_worker.errors import WorkerError

__all__ = ["main"]

GOOD: Final = 0
FAILED: Final = 1
"""``run``: the worker cannot start. ``check``: something is wrong with it."""
REFUSED: Final = 2
"""``check``: there is no such worker. The command was not written as it should be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; the exit code, with a line on standard error where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except WorkerError as error:
        print(f"avtomatika-worker: {error}", file=sys.stderr)
        return REFUSED if options.command is _check else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="avtomatika-worker", description="Runs Avtomatika workers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a worker until it is told to stop")
    run.set_defaults(command=_run)
    _add_app(run)
    run.add_argument("--health-check", action="store_true", help="answer /health and /ready on WORKER_PORT")
    run.add_argument(
        "--reload",
        action="store_true",
        help="start again when a .py file below this folder changes (extra `dev`)",
    )
    check = commands.add_parser(
        "check",
        help="look a worker over without running it",
        description="Exits with 0 if all is well, 1 if something is wrong, 2 if there is no such worker.",
    )
    check.set_defaults(command=_check)
    _add_app(check)
    check.add_argument("--connect", action="store_true", help="ask the orchestrators whether they let it in")
    return parser


def _add_app(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="where the Worker is, such as app:worker")


def _run(options: argparse.Namespace) -> int:
    if options.reload:
        return _reload(options)
    worker = load_worker(options.app)
    if options.health_check:
        worker.run_with_health_check()
    else:
        worker.run()
    return GOOD


def _reload(options: argparse.Namespace) -> int:
    try:
        from avtomatika_worker.cli.reloading import Reloader
    except ImportError:
        raise UsageError("--reload needs the extra: pip install 'avtomatika-worker[dev]'") from None
    command = [sys.executable, "-m", "avtomatika_worker", "run", options.app]
    if options.health_check:
        command.append("--health-check")
    return Reloader(command, Path.cwd(), _say).run()


def _check(options: argparse.Namespace) -> int:
    from avtomatika_worker.cli.checking import examine

    findings = examine(options.app, options.connect)
    for line in findings.lines:
        print(line)
    if not findings.problems:
        print("\nNothing is wrong.")
        return GOOD
    print("\nProblems")
    for problem in findings.problems:
        print(f"  {problem}")
    return FAILED


def _say(line: str) -> None:
    print(f"avtomatika-worker: {line}", file=sys.stderr, flush=True)
