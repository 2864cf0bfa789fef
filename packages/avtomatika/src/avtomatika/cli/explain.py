"""`avtomatika explain`: why a task waits, and what the workers lack that do not get it."""

import json
from collections.abc import Mapping
from typing import Any

import click

from avtomatika.cli.connection import Connection, token_of
from avtomatika.cli.jobs import as_json, located
from avtomatika.cli.screen import table


@click.command()
@click.argument("task_id")
@as_json
@located
def explain(task_id: str, as_json: bool, url: str, token: str | None, data_dir: str) -> None:
    """Say why a task waits: who may have it, and what the others lack.

    The token of an operator shows the names of the workers.
    """
    found = Connection(url, token_of(token, data_dir)).explain(task_id)
    click.echo(json.dumps(found) if as_json else told(found))


def told(found: Mapping[str, Any]) -> str:
    """The explanation for a person."""
    lines = [f"{found['task_id']}: {found['skill']}, {found['strategy']}, {_state(found)}", _who(found)]
    counts = sorted(found["reasons"].items(), key=lambda each: (-each[1], each[0]))
    lines += [f"  {count} x {reason}" for reason, count in counts]
    if found.get("details"):
        heads = ("WORKER", "LACKS", "LOAD", "REPUTATION", "COST", "HOT", "PARKED")
        lines += ["", table(heads, [_cells(worker) for worker in found["details"]])]
    return "\n".join(lines)


def _state(found: Mapping[str, Any]) -> str:
    by = found.get("taken_by")
    return f"taken by {by}" if by else str(found["state"])


def _who(found: Mapping[str, Any]) -> str:
    if not found["workers"]:
        return "No worker is present."
    fit = f"{found['fit']} of {found['workers']} workers may have it"
    return f"{fit}: {found['saturated']} saturated, {found['parked']} waiting for a task."


def _cells(worker: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        worker["worker_id"],
        ", ".join(worker["reasons"]) or "nothing",
        str(worker["load"]),
        f"{worker['reputation']:.3f}",
        f"{worker['cost']:g}",
        "yes" if worker["hot"] else "",
        "yes" if worker["parked"] else "",
    )
