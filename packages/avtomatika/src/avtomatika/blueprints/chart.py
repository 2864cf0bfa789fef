"""The states of a blueprint and the ways between them, as far as they are known before any job runs."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from avtomatika.blueprints.injection import Handler
from avtomatika.blueprints.scan import SAME, Kind, scan
from avtomatika.kernel.model import Verdict

ENDINGS: Final[Mapping[str, Verdict]] = {
    "finished": Verdict.FINISHED,
    "failed": Verdict.FAILED,
    "error": Verdict.FAILED,
    "quarantined": Verdict.QUARANTINED,
}
"""The names of states that end a job by themselves, and how."""


class Node(msgspec.Struct, frozen=True):
    """A state. `ends` is how a job ends there, or None. It is not `literal` when it may lead anywhere.

    A state that is not `known` is one that others lead to and that has neither handler nor aggregator.
    """

    name: str
    ends: Verdict | None = None
    is_start: bool = False
    aggregates: bool = False
    literal: bool = True
    known: bool = True

    @property
    def lost(self) -> bool:
        """True when others lead to it, it is not there, and its name does not end a job by itself."""
        return not self.known and self.ends is None


class Edge(msgspec.Struct, frozen=True):
    """A job can go from `source` to `target`: on `label` and when `condition`, if they are not empty."""

    source: str
    target: str
    label: str
    kind: Kind
    condition: str = ""

    @property
    def caption(self) -> str:
        """The label and the condition in one."""
        return " ".join(
            part for part in (self.label, f"[{self.condition}]" if self.condition else "") if part
        )


class Chart(msgspec.Struct, frozen=True):
    """All states in the order of registration, those that are only led to last, and all edges."""

    name: str
    version: str | None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def start(self) -> str | None:
        """The state in which jobs begin."""
        return next((node.name for node in self.nodes if node.is_start), None)

    @property
    def literal(self) -> bool:
        """True when there is no way but those that are charted."""
        return all(node.literal for node in self.nodes)

    def reached(self) -> frozenset[str]:
        """The names of the states that a job can come to by the edges."""
        following: dict[str, list[str]] = {}
        for edge in self.edges:
            following.setdefault(edge.source, []).append(edge.target)
        found: set[str] = set() if self.start is None else {self.start}
        ahead = deque(sorted(found))
        while ahead:
            for target in following.get(ahead.popleft(), ()):
                if target not in found:
                    found.add(target)
                    ahead.append(target)
        return frozenset(found)


class Charted(msgspec.Struct, frozen=True):
    """What is known of a state: its node, and its handlers with their conditions."""

    node: Node
    handlers: Sequence[tuple[str, Handler]]


def chart_of(name: str, version: str | None, states: Iterable[Charted]) -> Chart:
    """The chart that the sources of the handlers give."""
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    for state in states:
        literal = True
        for condition, handler in state.handlers:
            found = scan(handler.function)
            literal = literal and found.literal
            for move in found.moves:
                target = state.node.name if move.target == SAME else move.target
                edges[Edge(state.node.name, target, move.label, move.kind, condition)] = None
        nodes[state.node.name] = msgspec.structs.replace(state.node, literal=literal)
    for edge in edges:
        nodes.setdefault(edge.target, Node(edge.target, ends=ENDINGS.get(edge.target), known=False))
    return Chart(name, version, tuple(nodes.values()), tuple(edges))
