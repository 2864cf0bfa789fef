"""`avtomatika store`: what is done to a store while no node runs on it, or before one does."""

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from avtomatika.cli.blueprints import plural
from avtomatika.cli.refusal import Refusal

if TYPE_CHECKING:
    from avtomatika.commands.copying import Copied
    from avtomatika.settings import Settings

T = TypeVar("T")

_RESTART_WITHIN: Final = 120
_WORTH_TELLING: Final = 1_000


@click.group()
def store() -> None:
    """Move a store to another engine, and look after what its nodes share."""


@store.command()
@click.option("--from", "source", metavar="sqlite:///PATH", required=True, help="The store to copy.")
@click.option("--to", "target", metavar="URL", help="The empty one to copy it into (STORAGE_URL).")
@click.option("--prefix", help="What the keys of the new one begin with (STORAGE_PREFIX).")
@click.option("--finish", is_flag=True, help="The node has stopped: this is the last time.")
@click.option(
    "--restart-within",
    metavar="SECONDS",
    type=click.IntRange(0, 86_400),
    default=_RESTART_WITHIN,
    show_default=True,
    help="How long workers keep the tasks they have, until a node runs on the new store.",
)
def copy(source: str, target: str | None, prefix: str | None, finish: bool, restart_within: int) -> None:
    """Copy a SQLite store into an empty one: while its node runs, as often as you like, and once after.

    Each time only what changed is moved. No node starts on the copy before it was made with --finish, which
    needs the old node to have stopped; none starts on the old store after that.
    """
    from avtomatika.app.moving import copy_store
    from avtomatika.kernel.time import seconds

    settings = _settings(target, prefix)
    copied = _run(copy_store(_file(source), settings, finish=finish, grace=seconds(restart_within)))
    click.echo(_told(copied))
    if finish:
        click.echo("Finished: start nodes on the new store. None starts on the old one any more.")
    else:
        click.echo("Not finished: stop the node, then the same command with --finish.")


@store.command()
@click.argument("source", metavar="sqlite:///PATH")
def reopen(source: str) -> None:
    """Let nodes start again on a SQLite store that was moved.

    Do so only if no node has run on the new one: its jobs would be done twice.
    """
    from avtomatika.app.moving import reopen

    _run(reopen(_file(source)))
    click.echo("Nodes can start on it.")


@store.command()
@click.option("--storage-url", "target", metavar="URL", help="The shared store (STORAGE_URL).")
@click.option("--prefix", help="What its keys begin with (STORAGE_PREFIX).")
def rotate(target: str | None, prefix: str | None) -> None:
    """Forget which secrets the nodes of a shared store agreed on.

    The next node to start sets them, and all that start after it must have the same.
    """
    from avtomatika.app.joining import rotate

    click.echo(f"Forgotten: {_run(rotate(_settings(target, prefix)))}.")


def _settings(url: str | None, prefix: str | None) -> "Settings":
    from avtomatika.config import Config

    config = Config()
    if url is not None:
        config.STORAGE_URL = url
    if prefix is not None:
        config.STORAGE_PREFIX = prefix
    if not config.STORAGE_URL:
        raise click.UsageError("Name the store, or set STORAGE_URL.")
    return config.settings()


def _file(url: str) -> Path:
    from avtomatika.settings.history import sqlite_path

    path = sqlite_path(url)
    if path is None:
        raise Refusal(f"{url} is not sqlite:///PATH.")
    return path


def _run(work: Coroutine[Any, Any, T]) -> T:
    from avtomatika.engine import run_loop

    return run_loop(work)


def _told(copied: "Copied") -> str:
    said = (
        f"Copied: {plural(copied.jobs, 'job')} that had changed, {plural(copied.messages, 'message')}, "
        f"{plural(copied.claims, 'key')}, {plural(copied.items, 'value')}."
    )
    if copied.behind < _WORTH_TELLING:
        return said
    late = f"{copied.behind / 1_000:.0f} s behind"
    return (
        f"{said}\nThe clock of the new store is {late} what the old one has seen: timers are late by as much."
    )
