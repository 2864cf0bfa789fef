"""The chart of a blueprint as text for other programs: DOT, Mermaid, JSON; as SVG by `drawing` (feature A13).

Equal charts make equal texts: everything is in the order of registration.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from avtomatika.blueprints.chart import Chart, Edge, Node
from avtomatika.blueprints.drawing import svg
from avtomatika.errors import InvalidInput


def rendered(chart: Chart, form: str) -> str:
    """The chart in the named form. Raises InvalidInput for one that there is not."""
    render = FORMATS.get(form)
    if render is None:
        raise InvalidInput(f"format must be one of {', '.join(FORMATS)}.", field="format")
    return render(chart)


def dot(chart: Chart) -> str:
    """The chart in the language of Graphviz."""
    lines = [
        f"digraph {_dot_text(chart.name)} {{",
        "  rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="Helvetica"];',
        '  edge [fontname="Helvetica", fontsize=10];',
        *(f"  {_dot_text(node.name)}{_dot_options(_dot_look(node))};" for node in chart.nodes),
        *(f"  {_dot_text(e.source)} -> {_dot_text(e.target)}{_dot_edge(e)};" for e in chart.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", "\\n")
    return f'"{escaped}"'


def _dot_look(node: Node) -> dict[str, str]:
    styles = ["rounded"]
    if node.is_start:
        styles.append("bold")
    if node.lost or not node.literal:
        styles.append("dashed")
    look = {} if styles == ["rounded"] else {"style": f'"{",".join(styles)}"'}
    if node.ends is not None:
        look["peripheries"] = "2"
    if node.lost:
        look["color"] = "red"
    return look


def _dot_edge(edge: Edge) -> str:
    return _dot_options({"label": _dot_text(edge.caption)} if edge.caption else {})


def _dot_options(options: Mapping[str, str]) -> str:
    return f" [{', '.join(f'{name}={value}' for name, value in options.items())}]" if options else ""


def mermaid(chart: Chart) -> str:
    """The chart in the language of Mermaid."""
    ids = {node.name: f"s{number}" for number, node in enumerate(chart.nodes)}
    lines = ["flowchart LR"]
    lines += [f"  {ids[node.name]}{_mermaid_shape(node)}" for node in chart.nodes]
    for edge in chart.edges:
        caption = f'|"{_mermaid_text(edge.caption)}"|' if edge.caption else ""
        lines.append(f"  {ids[edge.source]} -->{caption} {ids[edge.target]}")
    loose = [ids[node.name] for node in chart.nodes if node.lost or not node.literal]
    if loose:
        lines += ["  classDef loose stroke-dasharray:4 3", f"  class {','.join(loose)} loose"]
    return "\n".join(lines) + "\n"


def _mermaid_shape(node: Node) -> str:
    text = _mermaid_text(node.name)
    if node.is_start:
        return f'(["{text}"])'
    return f'[["{text}"]]' if node.ends is not None else f'("{text}")'


def _mermaid_text(text: str) -> str:
    """Letters, digits and spaces as they are, the rest as the character references that Mermaid knows."""
    plain = " ".join(text.split()) or " "
    return "".join(c if c.isalnum() or c in " _-.,=" else f"#{ord(c)};" for c in plain)


def as_json(chart: Chart) -> str:
    """The chart as a JSON object: `states`, and `transitions` between them."""
    states: list[dict[str, Any]] = [
        {
            "name": node.name,
            "start": node.is_start,
            "ends": node.ends,
            "aggregator": node.aggregates,
            "literal": node.literal,
            "defined": node.known,
        }
        for node in chart.nodes
    ]
    transitions = [
        {
            "from": edge.source,
            "to": edge.target,
            "kind": edge.kind,
            "label": edge.label or None,
            "condition": edge.condition or None,
        }
        for edge in chart.edges
    ]
    whole = {
        "blueprint": chart.name,
        "version": chart.version,
        "literal": chart.literal,
        "states": states,
        "transitions": transitions,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


FORMATS: Final[Mapping[str, Callable[[Chart], str]]] = {
    "dot": dot,
    "svg": svg,
    "mermaid": mermaid,
    "json": as_json,
}
