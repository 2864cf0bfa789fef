"""`avtomatika serve` and `avtomatika dev`: an orchestrator with the blueprints of a file or a module."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from avtomatika.cli.connection import token_in
from avtomatika.cli.processes import Children
from avtomatika.cli.refusal import STORAGE_BROKEN, Refusal
from avtomatika.cli.target import engine_of

if TYPE_CHECKING:
    from avtomatika.engine import OrchestratorEngine
    from avtomatika.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

PIPELINE: Final = Path(__file__).parent.parent / "demo"
"""The demo: a folder with a blueprint and a worker as a user would write them."""

_VARIABLES: Final = {
    "host": "API_HOST",
    "port": "API_PORT",
    "storage_url": "STORAGE_URL",
    "data_dir": "AVTOMATIKA_DATA_DIR",
}


def place_options(command: F) -> F:
    """The command can be told where to listen and where to keep its data."""
    options = (
        click.option("--host", help="The address to listen on (API_HOST).  [default: 127.0.0.1]"),
        click.option("--port", type=click.IntRange(0, 65_535), help="The port (API_PORT).  [default: 8080]"),
        click.option("--storage-url", help="sqlite:///PATH, postgresql://… or memory:// (STORAGE_URL)."),
        click.option(
            "--data-dir",
            help="The folder for tokens and the database (AVTOMATIKA_DATA_DIR).  [default: .avtomatika]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("targets", metavar="FILE_OR_MODULE[:ATTRIBUTE]...", nargs=-1)
@place_options
def serve(targets: tuple[str, ...], **place: Any) -> None:
    """Run an orchestrator with every Blueprint at the top level of the files or modules.

    Those of the files in the folder BLUEPRINTS_DIR are served too; with that folder no file is needed.
    An OrchestratorEngine there is run as it is. All settings are environment variables; options
    overrule them. It ends on SIGINT and SIGTERM, with exit code 70 when the storage is broken.
    """
    if not targets and not has_folder():
        raise click.UsageError("Name a file or a module with blueprints, or set BLUEPRINTS_DIR.")
    engine = engine_of(targets, chosen(place))
    run(engine, lambda settings: announce(engine, settings))


@click.command()
@click.argument("targets", metavar="[FILE_OR_MODULE[:ATTRIBUTE]]...", nargs=-1)
@click.option(
    "--with-worker",
    "workers",
    metavar="MODULE:ATTRIBUTE|FILE.py",
    multiple=True,
    help="Start this worker beside it; may be repeated.",
)
@place_options
def dev(targets: tuple[str, ...], workers: tuple[str, ...], **place: Any) -> None:
    """Run an orchestrator for work on blueprints; without a file, the document pipeline of the demo.

    Those of the files in the folder BLUEPRINTS_DIR are served too, and then in place of the pipeline.
    Jobs are in SQLite under .avtomatika, tokens are made on the first run and kept there.
    """
    if not targets and not has_folder():
        targets = (f"{PIPELINE / 'blueprint.py'}:documents",)
        workers = workers or ((str(PIPELINE / "worker.py"),) if find_spec("avtomatika_worker") else ())
    engine = engine_of(targets, chosen(place))
    commands = [worker_command(worker) for worker in workers]
    with Children() as children:

        def started(settings: "Settings") -> None:
            announce(engine, settings)
            advise(engine, settings, bool(workers))
            for number, command in enumerate(commands, 1):
                children.start(f"worker {number}", command, worker_variables(engine, settings, number))

        run(engine, started)


def has_folder() -> bool:
    """True when the settings name a folder of blueprints."""
    from avtomatika.config import Config

    return bool(Config().BLUEPRINTS_DIR)


def chosen(place: Mapping[str, Any]) -> dict[str, str]:
    """The options that were given, as settings."""
    return {_VARIABLES[name]: str(value) for name, value in place.items() if value is not None}


def run(engine: "OrchestratorEngine", started: Callable[["Settings"], None]) -> None:
    """The engine has run until it was asked to end; *started* was called when it listened.

    Raises ConfigError, StorageBroken, and Refusal when the port is taken. Exits with 70 when the
    storage broke.
    """
    from avtomatika.engine import run_loop

    settings = engine.config.settings()
    level = logging.getLevelNamesMapping().get(settings.log_level, logging.INFO)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    try:
        healthy = run_loop(engine.serve(lambda: started(settings)))
    except OSError as error:
        raise Refusal(_trouble(error, settings)) from error
    if not healthy:
        click.echo("storage_broken: the storage failed; see the log.", err=True)
        sys.exit(STORAGE_BROKEN)


def _trouble(error: OSError, settings: "Settings") -> str:
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    taken = "something else listens there" if error.errno == errno.EADDRINUSE else error.strerror or error
    return f"Cannot listen on {settings.http.host}:{settings.http.port}: {taken}."


def announce(engine: "OrchestratorEngine", settings: "Settings") -> None:
    """It is on the screen where the orchestrator listens, what it serves, and where its tokens are."""
    from avtomatika.settings import redacted

    root = f"/{settings.http.prefix}" if settings.http.prefix else ""
    click.echo(f"Listening on {url_of(engine)}")
    for blueprint in engine.blueprints.values():
        version = "" if blueprint.api_version is None else f"/{blueprint.api_version}"
        way = f"POST {root}{version}{blueprint.api_endpoint}" if blueprint.api_endpoint else "no endpoint"
        click.echo(f"  blueprint  {blueprint.name} ({way})")
    click.echo(f"  storage    {redacted(settings.storage.url)}")
    click.echo(f"  tokens     {tokens_place(settings)}")


def advise(engine: "OrchestratorEngine", settings: "Settings", has_worker: bool) -> None:
    """What to do next is on the screen."""
    endpoint = next((b.api_endpoint for b in engine.blueprints.values() if b.api_endpoint), None)
    data = """ --data '{"roots": ["."], "out": "report"}'""" if "documents" in engine.blueprints else ""
    url = url_of(engine)
    there = "" if url.endswith(":8080") else f" --url {url}"
    if endpoint:
        click.echo(f"\nSubmit a job:  avtomatika jobs{there} run {endpoint.strip('/')}{data} --wait")
    if not has_worker:
        click.echo(
            f"Run a worker:  ORCHESTRATOR_URL={url} WORKER_TOKEN=... avtomatika-worker run MODULE:NAME"
        )
    click.echo("Ctrl-C ends it; accepted jobs go on with the next start.\n")


def url_of(engine: "OrchestratorEngine") -> str:
    """Where the engine listens."""
    return engine.url or ""


def tokens_place(settings: "Settings") -> str:
    """Where the tokens are to be found."""
    from avtomatika.credentials import FILE

    if settings.client_token is not None and settings.worker_token is not None:
        return "in the environment: CLIENT_TOKEN, GLOBAL_WORKER_TOKEN"
    return str(settings.data_dir / FILE)


def worker_command(worker: str) -> Sequence[str | Path]:
    """The command that runs the worker: a file by itself, anything else by the SDK. Raises Refusal."""
    if worker.endswith(".py"):
        if not Path(worker).is_file():
            raise Refusal(f"There is no file {worker}.")
        return [sys.executable, worker]
    if find_spec("avtomatika_worker") is None:
        raise Refusal("--with-worker needs the worker SDK: pip install avtomatika-worker")
    return [sys.executable, "-m", "avtomatika_worker", "run", worker]


def worker_variables(engine: "OrchestratorEngine", settings: "Settings", number: int) -> Mapping[str, str]:
    """The environment of a worker beside the engine."""
    token = settings.worker_token or token_in(settings.data_dir, "worker") or ""
    # The certificate of the node is not one of the worker, though its settings have the same names.
    inherited = {
        name: os.environ[name] for name in os.environ if name not in ("TLS_CERT_PATH", "TLS_KEY_PATH")
    }
    return {
        **inherited,
        "ORCHESTRATOR_URL": url_of(engine),
        "WORKER_TOKEN": token,
        "WORKER_ID": f"dev-{number}",
    }
