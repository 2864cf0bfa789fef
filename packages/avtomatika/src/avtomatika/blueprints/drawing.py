"""The chart of a blueprint as a picture: SVG that needs nothing else, readable in light and dark."""

import re
import zlib
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from avtomatika.blueprints.chart import Chart, Edge, Node
from avtomatika.blueprints.layout import (
    BOX_HEIGHT,
    Box,
    Layout,
    Line,
    Place,
    caption_of,
    layout_of,
    shortened,
)

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_STYLE: Final = """
#{id} {{ --paper: #ffffff; --ink: #1f2328; --line: #59636e; --box: #f6f8fa; --begin: #0969da;
  --good: #1a7f37; --bad: #cf222e; }}
@media (prefers-color-scheme: dark) {{ #{id} {{ --paper: #0d1117; --ink: #f0f6fc; --line: #9198a1;
  --box: #151b23; --begin: #4493f8; --good: #3fb950; --bad: #f85149; }} }}
#{id} text {{ font: 12px ui-monospace, Menlo, Consolas, monospace; fill: var(--ink); text-anchor: middle; }}
#{id} .paper {{ fill: var(--paper); }}
#{id} .box {{ fill: var(--box); stroke: var(--line); stroke-width: 1.5; }}
#{id} .begin {{ stroke: var(--begin); stroke-width: 2.5; }}
#{id} .finished {{ stroke: var(--good); }}
#{id} .failed, #{id} .quarantined, #{id} .lost {{ stroke: var(--bad); }}
#{id} .loose {{ stroke-dasharray: 5 3; }}
#{id} .inner {{ fill: none; }}
#{id} .line {{ fill: none; stroke: var(--line); stroke-width: 1.3; }}
#{id} .head {{ fill: var(--line); }}
#{id} .caption {{ font-size: 11px; stroke: var(--paper); stroke-width: 4; paint-order: stroke; }}
"""


def svg(chart: Chart) -> str:
    """The picture, with a title and a description for those who do not see it."""
    name = f"blueprint-{zlib.crc32(chart.name.encode('utf-8', 'replace')):08x}"
    layout = layout_of(chart)
    width, height = _number(layout.width), _number(layout.height)
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">'
    )
    head = (
        f'<marker id="{name}-head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker>'
    )
    lines = [
        begin,
        f'<title id="{name}-title">{_text(f"Blueprint {chart.name}")}</title>',
        f'<desc id="{name}-desc">{_text(described(chart))}</desc>',
        f"<style>{_STYLE.format(id=name)}</style>",
        head,
        f'<rect class="paper" width="{width}" height="{height}"/>',
        *(_drawn_line(line, name) for line in layout.lines),
        *_drawn_boxes(chart, layout),
        *(_drawn_caption(line) for line in layout.lines if line.captions),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def described(chart: Chart) -> str:
    """The chart in sentences."""
    begin = f"Jobs begin in {chart.start}." if chart.start else "There is no state in which jobs begin."
    return " ".join([begin, *(_sentence(node, chart) for node in chart.nodes)])


def _sentence(node: Node, chart: Chart) -> str:
    ways = [_way(edge) for edge in chart.edges if edge.source == node.name]
    if not node.literal:
        ways.append("to states that are known only when it runs")
    said = f"{node.name} leads {', '.join(ways)}." if ways else ""
    if node.ends is not None:
        said += f"{' ' if said else ''}{node.name} ends the job as {node.ends}."
    if node.lost:
        said = f"{node.name} is not defined."
    return said or f"{node.name} leads nowhere."


def _way(edge: Edge) -> str:
    label = f" on {edge.label}" if edge.label else ""
    condition = f" when {edge.condition}" if edge.condition else ""
    return f"to {edge.target}{label}{condition}"


def _drawn_boxes(chart: Chart, layout: Layout) -> list[str]:
    return [_drawn_box(node, layout.boxes[node.name]) for node in chart.nodes]


def _drawn_box(node: Node, box: Box) -> str:
    kinds = ["box"]
    if node.is_start:
        kinds.append("begin")
    if node.ends is not None:
        kinds.append(node.ends)
    if node.lost:
        kinds.append("lost")
    if node.lost or not node.literal:
        kinds.append("loose")
    look = " ".join(kinds)
    inner = "" if node.ends is None else _rectangle(box, f"{look} inner", 4)
    text = f'<text x="{_number(box.x)}" y="{_number(box.y + 4)}">{_text(shortened(node.name))}</text>'
    return f"<g><title>{_text(node.name)}</title>{_rectangle(box, look, 0)}{inner}{text}</g>"


def _rectangle(box: Box, look: str, inset: float) -> str:
    x, y = box.x - box.width / 2 + inset, box.y - BOX_HEIGHT / 2 + inset
    width, height = box.width - 2 * inset, BOX_HEIGHT - 2 * inset
    return (
        f'<rect class="{look}" x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" '
        f'height="{_number(height)}" rx="{_number(8 - inset / 2)}"/>'
    )


def _drawn_line(line: Line, name: str) -> str:
    path = _loop(line.points) if line.source == line.target else _curve(line.points)
    return f'<path class="line" d="{path}" marker-end="url(#{name}-head)"/>'


def _loop(points: tuple[Place, ...]) -> str:
    """Out of the top of a box and back into it."""
    begin, peak, end = points
    return f"M{_point(begin)} C{_point((begin[0], peak[1]))} {_point((end[0], peak[1]))} {_point(end)}"


def _curve(points: tuple[Place, ...]) -> str:
    """A line through the points that leaves and arrives level."""
    path = f"M{_point(points[0])}"
    for before, point in pairwise(points):
        half = (before[0] + point[0]) / 2
        path += f" C{_point((half, before[1]))} {_point((half, point[1]))} {_point(point)}"
    return path


def _drawn_caption(line: Line) -> str:
    full = _text(f"{line.source} to {line.target}: {', '.join(line.captions)}")
    x, y = line.label
    text = _text(caption_of(line.captions))
    return f'<text class="caption" x="{_number(x)}" y="{_number(y)}"><title>{full}</title>{text}</text>'


def _point(place: Place) -> str:
    return f"{_number(place[0])} {_number(place[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text), {'"': "&quot;"})
