"""Where the boxes of a graph go: in columns from the start on, and lines that keep out of the boxes between.

Lengths are in pixels. Equal charts have equal layouts.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from avtomatika.blueprints.chart import Chart

CHAR: Final = 7.3
BOX_HEIGHT: Final = 34.0
ROW: Final = 64.0
MARGIN: Final = 28.0
SHORTEST_GAP: Final = 56.0
LONGEST_TEXT: Final = 32
SWEEPS: Final = 6
BACK: Final = 9.0
"""How much lower lines are that lead back, so that they do not cover those that lead on."""

Place = tuple[float, float]
Way = tuple[str, str]


class Box(msgspec.Struct, frozen=True):
    """The place of a state: the middle of the box, and its width."""

    x: float
    y: float
    width: float


class Line(msgspec.Struct, frozen=True):
    """All edges between two states: the points that the line goes through, and the captions at `label`."""

    source: str
    target: str
    points: tuple[Place, ...]
    captions: tuple[str, ...]
    label: Place


class Layout(msgspec.Struct, frozen=True):
    """The boxes by the names of their states, the lines, and the size of it all."""

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    width: float
    height: float


def shortened(text: str) -> str:
    """The text in as much room as a box or a caption has."""
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_TEXT else plain[: LONGEST_TEXT - 1] + "…"


def text_width(text: str) -> float:
    """How wide the text is at most."""
    return sum(CHAR * (2 if unicodedata.east_asian_width(c) in "WF" else 1) for c in text)


def caption_of(captions: Sequence[str]) -> str:
    """The captions of one line as one text."""
    return shortened(", ".join(captions))


def layout_of(chart: Chart) -> Layout:
    """The layout of the chart."""
    ways: dict[Way, list[str]] = {}
    for edge in chart.edges:
        known = ways.setdefault((edge.source, edge.target), [])
        if edge.caption and edge.caption not in known:
            known.append(edge.caption)
    names = [node.name for node in chart.nodes]
    first = chart.start or (names[0] if names else "")
    columns = _columns(names, ways, first)
    chains = {way: _chain(way, columns) for way in ways if way[0] != way[1]}
    order = _ordered(names, columns, chains)
    return _placed(order, columns, ways, chains)


def _columns(names: Sequence[str], ways: Mapping[Way, object], first: str) -> dict[str, int]:
    """The column of each state: right of all that lead to it, unless they come from further on."""
    following: dict[str, list[str]] = {name: [] for name in names}
    for source, target in ways:
        following[source].append(target)
    finished = _depth_first([first, *names] if names else [], following)
    rank = {name: number for number, name in enumerate(reversed(finished))}
    columns = dict.fromkeys(rank, 0)
    for name, own in rank.items():
        for target in following[name]:
            if rank[target] > own:
                columns[target] = max(columns[target], columns[name] + 1)
    return columns


def _depth_first(roots: Sequence[str], following: Mapping[str, Sequence[str]]) -> list[str]:
    """All states, each after those that a walk from it finds first."""
    seen: set[str] = set()
    finished: list[str] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        trail = [(root, iter(following[root]))]
        while trail:
            name, ahead = trail[-1]
            unseen = next((target for target in ahead if target not in seen), None)
            if unseen is None:
                finished.append(name)
                trail.pop()
            else:
                seen.add(unseen)
                trail.append((unseen, iter(following[unseen])))
    return finished


class _Stop(msgspec.Struct, frozen=True):
    """A place in a column: a state, or where the line of a way passes by."""

    column: int
    name: str
    way: Way | None = None


def _chain(way: Way, columns: Mapping[str, int]) -> list[_Stop]:
    """The stops of a way, one in each column between."""
    source, target = columns[way[0]], columns[way[1]]
    step = 1 if target >= source else -1
    between = [_Stop(column, "", way) for column in range(source + step, target, step)]
    return [_Stop(source, way[0]), *between, _Stop(target, way[1])]


def _ordered(
    names: Sequence[str], columns: Mapping[str, int], chains: Mapping[Way, Sequence[_Stop]]
) -> list[list[_Stop]]:
    """The stops of each column from top to bottom, those near one another that belong together."""
    width = max(columns.values(), default=0) + 1
    stops = dict.fromkeys([_Stop(columns[name], name) for name in names])
    stops |= dict.fromkeys(stop for chain in chains.values() for stop in chain)
    order: list[list[_Stop]] = [[stop for stop in stops if stop.column == n] for n in range(width)]
    near: dict[_Stop, list[_Stop]] = {stop: [] for stop in stops}
    for chain in chains.values():
        for one, other in pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in range(width) if forward else reversed(range(width)):
            beside = column - 1 if forward else column + 1
            if 0 <= beside < width:
                _sort(order[column], order[beside], near)
    return order


def _sort(column: list[_Stop], beside: Sequence[_Stop], near: Mapping[_Stop, Sequence[_Stop]]) -> None:
    rows = {stop: row - (len(beside) - 1) / 2 for row, stop in enumerate(beside)}
    own = {stop: row - (len(column) - 1) / 2 for row, stop in enumerate(column)}

    def middle(stop: _Stop) -> float:
        found = [rows[other] for other in near[stop] if other in rows]
        return sum(found) / len(found) if found else own[stop]

    column.sort(key=middle)


def _placed(
    order: Sequence[Sequence[_Stop]],
    columns: Mapping[str, int],
    ways: Mapping[Way, Sequence[str]],
    chains: Mapping[Way, Sequence[_Stop]],
) -> Layout:
    widths = [max((_box_width(stop) for stop in column), default=0.0) for column in order]
    gaps = [SHORTEST_GAP] * len(order)
    for (source, target), captions in ways.items():
        room, column = text_width(caption_of(captions)), columns[source]
        if source == target:
            widths[column] = max(widths[column], room)
        else:
            gap = column - 1 if columns[target] < column else column
            gaps[gap] = max(gaps[gap], room + 36)
    height = max((len(column) for column in order), default=1) * ROW + 2 * MARGIN
    places: dict[_Stop, Place] = {}
    left = MARGIN
    for number, stops in enumerate(order):
        for row, stop in enumerate(stops):
            places[stop] = (left + widths[number] / 2, height / 2 + (row - (len(stops) - 1) / 2) * ROW)
        left += widths[number] + gaps[number]
    boxes = {stop.name: Box(*place, _box_width(stop)) for stop, place in places.items() if stop.way is None}
    lines = tuple(_line(way, captions, boxes, places, chains) for way, captions in ways.items())
    return Layout(boxes, lines, left - gaps[-1] + MARGIN if order else 2 * MARGIN, height)


def _box_width(stop: _Stop) -> float:
    return max(56.0, text_width(shortened(stop.name)) + 28) if stop.way is None else 0.0


def _line(
    way: Way,
    captions: Sequence[str],
    boxes: Mapping[str, Box],
    places: Mapping[_Stop, Place],
    chains: Mapping[Way, Sequence[_Stop]],
) -> Line:
    source, target = boxes[way[0]], boxes[way[1]]
    chain = chains.get(way)
    if chain is None:  # it leads to where it comes from: a loop over the box
        top = source.y - BOX_HEIGHT / 2
        loop = ((source.x - 16, top), (source.x, top - 24), (source.x + 16, top))
        return Line(*way, loop, tuple(captions), (source.x, top - 22))
    side, lower = (1, 0.0) if chain[-1].column > chain[0].column else (-1, BACK)
    begin = (source.x + side * source.width / 2, source.y + lower)
    end = (target.x - side * target.width / 2, target.y + lower)
    points = (begin, *(places[stop] for stop in chain[1:-1]), end)
    (x, y), (next_x, next_y) = points[0], points[1]
    label = (x + (next_x - x) * 0.45, y + (next_y - y) * 0.35 + (lower or -4))
    return Line(*way, points, tuple(captions), label)
