"""`avtomatika jobs`: submit, list, read, watch and cancel jobs of a running orchestrator."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from avtomatika.cli.connection import DEFAULT_URL, Connection, token_of
from avtomatika.cli.refusal import Refusal
from avtomatika.cli.screen import OVER, age, colour, exit_code, is_over, table
from avtomatika.cli.watching import follow

F = TypeVar("F", bound=Callable[..., Any])

HEADS: Final = ("JOB", "STATUS", "BLUEPRINT", "STATE", "PROGRESS", "AGE", "TOOK")
STATUSES: Final = ("pending", "running", "waiting_for_worker", "waiting_for_parallel_tasks", *sorted(OVER))

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def located(command: F) -> F:
    """The command has the options that say where the orchestrator is, and who asks."""
    options = (
        click.option(
            "--data-dir",
            envvar="AVTOMATIKA_DATA_DIR",
            default=".avtomatika",
            show_default=True,
            help="The folder where an orchestrator keeps its tokens.",
        ),
        click.option(
            "--token", envvar="CLIENT_TOKEN", help="The client token; else the one in the data folder."
        ),
        click.option(
            "--url",
            envvar="ORCHESTRATOR_URL",
            default=DEFAULT_URL,
            show_default=True,
            help="Where the orchestrator is; add the prefix of its API when that is not 'api'.",
        ),
    )
    for option in options:
        command = option(command)
    return command


@click.group()
@located
@click.pass_context
def jobs(ctx: click.Context, url: str, token: str | None, data_dir: str) -> None:
    """Submit, list, read, watch and cancel jobs of a running orchestrator.

    Exit codes: 0 when all went well, 1 when a job that was waited for failed, was cancelled or
    quarantined, 2 when the request could not be made or was refused.
    """
    ctx.obj = lambda: Connection(url, token_of(token, data_dir))


def connected(command: F) -> F:
    """The command gets the connection as its first argument, made when it runs."""

    def call(make: Callable[[], Connection], *args: Any, **kwargs: Any) -> Any:
        return command(make(), *args, **kwargs)

    call.__doc__ = command.__doc__
    call.__name__ = command.__name__
    call.__dict__ |= command.__dict__  # the options that click has noted
    wrapped: Any = click.pass_obj(call)
    return wrapped  # type: ignore[no-any-return]  # the decorators of click lose the type


@jobs.command()
@click.argument("endpoint")
@click.option("--data", default="{}", metavar="JSON|@FILE", help="The input: JSON, or @ and a file with it.")
@click.option("--wait", is_flag=True, help="Wait until the job is over, and show it.")
@click.option("--idempotency-key", help="The same key makes one job, however often this is repeated.")
@as_json
@connected
def run(
    connection: Connection, endpoint: str, data: str, wait: bool, idempotency_key: str | None, as_json: bool
) -> None:
    """Submit a job to the blueprint with ENDPOINT, for instance 'documents' or 'v2/documents'."""
    accepted = connection.submit(endpoint, read_data(data), idempotency_key)
    if wait:
        finish(follow(connection, accepted["job_id"]), as_json)
    click.echo(json.dumps(accepted) if as_json else accepted["job_id"])


@jobs.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only those with this status.")
@click.option("--blueprint", help="Only those of the blueprint of this name.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000), help="At most.")
@click.option("--after", help="Go on after a page: what it gave as its end.")
@as_json
@connected
def ls(connection: Connection, as_json: bool, **options: Any) -> None:
    """List jobs, newest first."""
    page = connection.jobs(**{name: str(value) for name, value in options.items() if value is not None})
    if as_json:
        click.echo(json.dumps(page))
        return
    if not page["jobs"]:
        click.echo("There are no such jobs.", err=True)
        return
    now = time.time_ns() // 1_000_000
    click.echo(table(HEADS, [_cells(job, now) for job in page["jobs"]]))
    if page["next"]:
        click.echo(f"There are more: --after {page['next']}", err=True)


@jobs.command()
@click.argument("job_id")
@click.option("--detailed", is_flag=True, help="With the input and the whole state history.")
@as_json
@connected
def show(connection: Connection, job_id: str, detailed: bool, as_json: bool) -> None:
    """Show a job as it stands."""
    job = connection.job(job_id, **({"detailed": "true"} if detailed else {}))
    click.echo(json.dumps(job) if as_json else described(job))


@jobs.command()
@click.argument("job_id")
@as_json
@connected
def watch(connection: Connection, job_id: str, as_json: bool) -> None:
    """Follow a job until it is over, and show it."""
    finish(follow(connection, job_id), as_json)


@jobs.command()
@click.argument("job_id")
@as_json
@connected
def cancel(connection: Connection, job_id: str, as_json: bool) -> None:
    """Cancel a job: nothing of it will be committed any more."""
    answer = connection.cancel(job_id)
    click.echo(json.dumps(answer) if as_json else f"{job_id} is cancelled.")


def finish(job: Mapping[str, Any], as_json: bool) -> None:
    """The job is printed; exits with what its end means."""
    click.echo(json.dumps(job) if as_json else described(job))
    raise SystemExit(exit_code(job))


def read_data(given: str) -> bytes:
    """The JSON object that was given, or is in the file after @. Raises Refusal."""
    text = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal(f"--data: {given[1:]} cannot be read: {error}") from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Refusal(f"--data is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refusal("--data must be a JSON object.")
    return text.encode()  # as it was written: no number changes its spelling


def described(job: Mapping[str, Any]) -> str:
    """The job for people: a line for every fact, then its result."""
    progress, error = job.get("progress"), job.get("error")
    lines = [
        ("job", job["id"]),
        ("status", colour(job["status"])),
        ("blueprint", job["blueprint_name"]),
        ("state", job["current_state"]),
        ("took" if is_over(job) else "runs for", age(job["updated_at"] - job["created_at"])),
    ]
    if progress:
        lines.append(("progress", _how_far(progress, " of ")))
    if error:
        lines.append(("error", f"{error['code']}: {error['message']}"))
    text = "\n".join(f"{name + ':':<11}{value}" for name, value in lines)
    for name in ("initial_data", "state_history", "result"):
        if job.get(name) is not None:
            text += f"\n{name}:\n{json.dumps(job[name], indent=2, ensure_ascii=False)}"
    return text


def _how_far(progress: Mapping[str, Any], between: str) -> str:
    if "total" in progress:
        return f"{progress['done']}{between}{progress['total']}"
    return " ".join(str(progress[name]) for name in ("value", "message") if name in progress)


def _cells(job: Mapping[str, Any], now: int) -> tuple[str, ...]:
    progress = job.get("progress")
    return (
        job["id"],
        job["status"],
        job["blueprint_name"],
        job["current_state"],
        _how_far(progress, "/") if progress else "",
        age(now - job["created_at"]),
        age(job["updated_at"] - job["created_at"]),
    )
