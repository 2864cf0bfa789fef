"""The command `avtomatika`: run an orchestrator, and talk to one that runs."""

from typing import Any

import click

from avtomatika import __version__
from avtomatika.cli.blueprints import check, graph
from avtomatika.cli.demo import demo
from avtomatika.cli.explain import explain
from avtomatika.cli.jobs import jobs
from avtomatika.cli.refusal import refusal_of
from avtomatika.cli.serve import dev, serve
from avtomatika.cli.store import store
from avtomatika.errors import AvtomatikaError

__all__ = ["avtomatika", "main"]


class Commands(click.Group):
    """Commands whose foreseen errors are one line for a person and an exit code for a program."""

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns. Raises ClickException in place of AvtomatikaError."""
        try:
            return super().invoke(ctx)
        except AvtomatikaError as error:
            raise refusal_of(error) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avtomatika", message="%(prog)s %(version)s")
def avtomatika() -> None:
    """Run an orchestrator of durable state machines, and talk to one that runs."""


for command in (check, demo, dev, explain, graph, jobs, serve, store):
    avtomatika.add_command(command)


def main() -> None:
    """The command of this process's arguments has run; the process exits with its code."""
    avtomatika(prog_name="avtomatika")
