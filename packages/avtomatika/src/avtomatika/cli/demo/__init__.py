"""`avtomatika demo`: a real job on real files, done by an orchestrator and two workers as processes."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from avtomatika.cli.demo.material import Material, chosen
from avtomatika.cli.demo.show import compared, play, result_lines
from avtomatika.cli.demo.stage import Stage
from avtomatika.cli.processes import Children, ended_by_signals
from avtomatika.cli.refusal import FAILED, Refusal

__all__ = ["demo"]


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--crash", is_flag=True, help="Kill the orchestrator and a worker in the middle of the job.")
@click.option(
    "--out",
    default=Path(".avtomatika/demo"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report is written.",
)
@click.option("--keep", is_flag=True, help="Keep the database and the logs.")
def demo(folder: Path | None, crash: bool, out: Path, keep: bool) -> None:
    """Analyse the files of FOLDER with two workers and write a report.

    Without a folder, the documentation of this project. It starts an orchestrator and two workers,
    submits one job, shows its progress, and stops everything. With --crash it kills the
    orchestrator and a worker midway, starts them again, and compares the result with one that
    was worked out without them; exits with 1 when they differ.
    """
    if find_spec("avtomatika_worker") is None:
        raise Refusal("The demo needs the worker SDK: pip install avtomatika-worker")
    material = chosen(folder, out)
    if crash and len(material.files) < 5:
        raise Refusal(f"To crash in the middle takes 5 files or more; there are {len(material.files)}.")
    same = perform(material, crash, keep)
    if not same:
        sys.exit(FAILED)


def perform(material: Material, crash: bool, keep: bool) -> bool:
    """The job is over and shown, and no process is left. False when a crash changed the result.

    Raises Refusal when the job did not finish.
    """
    with ended_by_signals(), working_folder(keep) as folder, Children() as children:
        stage = Stage(children, folder)
        result, seconds = play(stage, material, crash)
        children.end()
    click.echo(result_lines(result, seconds))
    return compared(result, material) if crash else True


@contextmanager
def working_folder(keep: bool) -> Generator[Path]:
    """A new folder for database and logs; gone after the block, or left and named."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="avtomatika-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    folder = Path(tempfile.mkdtemp(prefix="avtomatika-demo-"))
    try:
        yield folder
    finally:
        click.echo(f"Database and logs: {folder}", err=True)
