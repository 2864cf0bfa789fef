"""What is wrong with a blueprint before any job runs (feature A12)."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from avtomatika.blueprints.chart import ENDINGS, Chart, Edge, Node
from avtomatika.blueprints.scan import Kind


class Severity(StrEnum):
    """An error keeps a blueprint from being registered; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True):
    """Something about a state, or about the blueprint as a whole when `state` is empty."""

    severity: Severity
    state: str
    message: str


def findings(chart: Chart) -> tuple[Finding, ...]:
    """Everything there is to say, in the order of the states; nothing about a blueprint in order."""
    return (*_start(chart), *_dangling(chart), *_unreachable(chart))


def _start(chart: Chart) -> Iterator[Finding]:
    if chart.start is None:
        message = f"Blueprint '{chart.name}' must have exactly one start state."
        yield Finding(Severity.ERROR, "", message)


def _dangling(chart: Chart) -> Iterator[Finding]:
    nodes = {node.name: node for node in chart.nodes}
    told: set[tuple[str, str]] = set()
    for edge in chart.edges:
        if _leads_nowhere(edge, nodes[edge.target]) and (edge.source, edge.target) not in told:
            told.add((edge.source, edge.target))
            yield Finding(Severity.ERROR, edge.source, _nowhere(chart.name, edge))


def _leads_nowhere(edge: Edge, target: Node) -> bool:
    """Names that end a job by themselves lead somewhere, but they gather no results."""
    return not target.known and (target.ends is None or edge.kind is Kind.AGGREGATION)


def _nowhere(name: str, edge: Edge) -> str:
    if edge.kind is Kind.AGGREGATION:
        return (
            f"Blueprint '{name}' has a dangling transition: state '{edge.source}' aggregates into "
            f"'{edge.target}', which has no aggregator and no handler."
        )
    return (
        f"Blueprint '{name}' has a dangling transition: state '{edge.source}' leads to "
        f"non-existent state '{edge.target}'."
    )


def _unreachable(chart: Chart) -> Iterator[Finding]:
    if chart.start is None:
        return
    reached = chart.reached()
    dynamic = [f"'{node.name}'" for node in chart.nodes if not node.literal]
    reason = f" It may be a target of {', '.join(dynamic)} that is not written out." if dynamic else ""
    for node in chart.nodes:
        if node.known and node.name not in reached:
            # A handler for the end of a job is kept for the day when something leads to it.
            mild = bool(dynamic) or node.name in ENDINGS
            message = f"Blueprint '{chart.name}': nothing leads to state '{node.name}'.{reason}"
            yield Finding(Severity.WARNING if mild else Severity.ERROR, node.name, message)
