"""`avtomatika check` and `avtomatika graph`: what is known of blueprints without running any job."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from avtomatika.cli.refusal import FAILED, Refusal
from avtomatika.cli.target import ATTRIBUTE, find
from avtomatika.errors import ConfigError

if TYPE_CHECKING:
    from avtomatika.blueprints.blueprint import Blueprint

FORMATS: Final = ("dot", "svg", "mermaid", "json")
FORMAT_OF_SUFFIX: Final[Mapping[str, str]] = {
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".json": "json",
}


@click.command()
@click.argument("targets", metavar="FILE_OR_FOLDER...", nargs=-1, required=True)
def check(targets: tuple[str, ...]) -> None:
    """Say what is wrong with the blueprints of the files, one line for each finding.

    A line is FILE:STATE: error|warning: MESSAGE. Exit codes: 0 without errors, 1 with errors, 2 when
    there is no such file, or no blueprint in it.
    """
    count = errors = 0
    for target in expanded(targets):
        lines, blueprints = checked(target)
        for severity, line in lines:
            click.echo(line)
            errors += severity == "error"
        count += blueprints
    click.echo(f"{plural(count, 'blueprint')}, {plural(errors, 'error')}.", err=True)
    if errors:
        raise click.exceptions.Exit(FAILED)


def expanded(targets: Iterable[str]) -> Iterator[str]:
    """The targets, a folder replaced by its files. Raises ConfigError for one without any."""
    from avtomatika.blueprints.loader import files_in

    for target in targets:
        if not Path(target).is_dir():
            yield target
            continue
        files = files_in(Path(target))
        if not files:
            raise ConfigError(f"There is no Python file in {target}.")
        yield from map(str, files)


def checked(target: str) -> tuple[list[tuple[str, str]], int]:
    """Severity and line of each finding, and how many blueprints there are. Raises ConfigError."""
    from avtomatika.blueprints.loader import LoadFailed

    try:
        blueprints = found_in(target)
    except LoadFailed as error:
        return [("error", f"{error.where}: error: {' '.join(error.reason.split())}")], 0
    lines: list[tuple[str, str]] = []
    for blueprint in blueprints:
        for finding in blueprint.check():
            where = f"{target}:{finding.state}" if finding.state else target
            lines.append((finding.severity, f"{where}: {finding.severity}: {finding.message}"))
    return lines, len(blueprints)


@click.command()
@click.argument("target", metavar="FILE_OR_MODULE[:NAME]")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="The form of the graph.  [default: by the ending of the output, else dot]",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file."
)
def graph(target: str, form: str | None, output: Path | None) -> None:
    """Print the graph of a blueprint, or write it to a file.

    NAME is the name of the blueprint, or of the variable that holds it; it is needed when there are several.
    """
    suffix = "" if output is None else output.suffix.lower()
    chosen = form or FORMAT_OF_SUFFIX.get(suffix, "dot")
    blueprint = one(target)
    try:
        text = blueprint.render_graph(output, chosen)
    except OSError as error:
        raise Refusal(f"{output}: {error.strerror}.") from error
    if output is None:
        click.echo(text, nl=False)


def one(target: str) -> "Blueprint":
    """The blueprint that the target names. Raises ConfigError when there is none, or more than one."""
    match = ATTRIBUTE.fullmatch(target)
    place, name = (match["place"], match["attribute"]) if match else named(target)
    blueprints = {blueprint.name: blueprint for blueprint in found_in(place)}
    if name is None:
        pass
    elif name in blueprints:
        return blueprints[name]
    elif match is None:
        raise ConfigError(f"{place} has no blueprint '{name}'; it has {', '.join(sorted(blueprints))}.")
    else:
        blueprints = {blueprint.name: blueprint for blueprint in found_in(target)}
    if len(blueprints) > 1:
        raise ConfigError(f"{target} has several blueprints: name one of {', '.join(sorted(blueprints))}.")
    return next(iter(blueprints.values()))


def named(target: str) -> tuple[str, str | None]:
    """The place, and the name of a blueprint that could be no variable."""
    place, colon, name = target.rpartition(".py:")
    return (f"{place}.py", name) if colon else (target, None)


def found_in(target: str) -> "tuple[Blueprint, ...]":
    """The blueprints of the target, or of the engine that is there. Raises ConfigError for none."""
    found = find(target)
    blueprints = found.blueprints if found.engine is None else tuple(found.engine.editions)
    if not blueprints:
        raise ConfigError(f"The engine of {target} has no blueprint.")
    return blueprints


def plural(count: int, noun: str) -> str:
    """The count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
