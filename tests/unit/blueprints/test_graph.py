"""The graph of a blueprint as DOT, Mermaid, JSON and SVG (row A13)."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from avtomatika import Blueprint
from avtomatika.blueprints.drawing import svg
from avtomatika.blueprints.graph import FORMATS
from avtomatika.blueprints.layout import layout_of
from avtomatika.errors import InvalidInput

SVG = "{http://www.w3.org/2000/svg}"


def orders(name: str = "orders", end: str = "done") -> Blueprint:
    blueprint = Blueprint(name, version="2")

    @blueprint.handler(is_start=True)
    def start(actions: Any) -> None:
        actions.dispatch_task("work", {}, {"success": "check", "failure": "repair"})

    @blueprint.handler
    def repair(actions: Any) -> None:
        actions.dispatch_task("mend", {}, {"success": "start", "failure": "failed"})

    @blueprint.handler("check").when("context.initial_data.n > 3")
    def much(actions: Any) -> None:
        actions.dispatch_parallel([], aggregate_into="gather")

    @blueprint.handler("check")
    def little(actions: Any) -> None:
        actions.sleep(3)

    @blueprint.aggregator
    def gather(actions: Any, where: str) -> None:
        actions.go_to(where)

    blueprint.handler(end, is_end=True)(lambda: None)
    return blueprint


def broken() -> Blueprint:
    blueprint = Blueprint("broken")

    @blueprint.handler(is_start=True)
    def start(actions: Any) -> None:
        actions.go_to("nowhere")

    return blueprint


DOT = """digraph "orders" {
  rankdir=LR;
  node [shape=box, style=rounded, fontname="Helvetica"];
  edge [fontname="Helvetica", fontsize=10];
  "start" [style="rounded,bold"];
  "repair";
  "check";
  "done" [peripheries=2];
  "gather" [style="rounded,dashed"];
  "failed" [peripheries=2];
  "start" -> "check" [label="success"];
  "start" -> "repair" [label="failure"];
  "repair" -> "start" [label="success"];
  "repair" -> "failed" [label="failure"];
  "check" -> "gather" [label="aggregate [context.initial_data.n > 3]"];
  "check" -> "check" [label="slept"];
}
"""


def test_dot_has_every_state_and_every_way() -> None:
    assert orders().render_graph() == DOT


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_dot_of_any_name() -> None:
    text = orders('a "b" \\', 'c"];\n x -> y; "\\').render_graph()
    subprocess.run(["dot", "-Tdot"], input=text.encode(), check=True, capture_output=True)


def test_json_says_what_is_known() -> None:
    graph = json.loads(orders().render_graph(output_format="json"))
    assert (graph["blueprint"], graph["version"], graph["literal"]) == ("orders", "2", False)
    states = {state["name"]: state for state in graph["states"]}
    assert [name for name, state in states.items() if state["start"]] == ["start"]
    assert {name: state["ends"] for name, state in states.items() if state["ends"]} == {
        "done": "finished",
        "failed": "failed",
    }
    assert [name for name, state in states.items() if state["aggregator"]] == ["gather"]
    assert [name for name, state in states.items() if not state["literal"]] == ["gather"]
    assert [name for name, state in states.items() if not state["defined"]] == ["failed"]
    assert graph["transitions"][4] == {
        "from": "check",
        "to": "gather",
        "kind": "aggregation",
        "label": "aggregate",
        "condition": "context.initial_data.n > 3",
    }


def test_mermaid_names_states_by_number_and_escapes_their_names() -> None:
    lines = orders(end='end "]; click').render_graph(output_format="mermaid").splitlines()
    assert lines[0] == "flowchart LR"
    assert '  s0(["start"])' in lines
    assert '  s3[["end #34;#93;#59; click"]]' in lines
    assert '  s0 -->|"success"| s2' in lines
    assert '  s2 -->|"aggregate #91;context.initial_data.n #62; 3#93;"| s4' in lines
    assert lines[-1] == "  class s4 loose"


def picture(blueprint: Blueprint) -> ElementTree.Element:
    return ElementTree.fromstring(blueprint.render_graph(output_format="svg"))


def test_the_picture_has_a_box_for_every_state_and_a_line_for_every_way() -> None:
    root = picture(orders())
    titles = [group.findtext(f"{SVG}title") for group in root.findall(f"{SVG}g")]
    assert titles == ["start", "repair", "check", "done", "gather", "failed"]
    assert len(root.findall(f"{SVG}path")) == 6
    captions = [text.findtext(f"{SVG}title") for text in root.findall(f"{SVG}text")]
    assert "start to check: success" in captions


def test_the_picture_tells_those_who_do_not_see_it() -> None:
    root = picture(orders())
    assert root.get("role") == "img"
    ids = {each.get("id"): "".join(each.itertext()) for each in root.iter()}
    title, described = (ids[name] for name in root.attrib["aria-labelledby"].split())
    assert title == "Blueprint orders"
    assert described.startswith("Jobs begin in start. start leads to check on success, to repair on failure.")
    assert "gather leads to states that are known only when it runs." in described
    assert "done ends the job as finished." in described


def test_the_picture_is_for_light_and_dark_and_needs_nothing_from_elsewhere() -> None:
    text = orders().render_graph(output_format="svg")
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text
    assert "@import" not in text


@pytest.mark.parametrize(
    "name", ["</title><script>alert(1)</script>", "a & b", '" onload="x', "\x00\x1b\ud800", "]]>", "中文 名"]
)
def test_any_name_is_only_a_name_in_the_picture(name: str) -> None:
    root = picture(orders(name, end=name))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {
        "svg", "title", "desc", "style", "marker", "path", "rect", "g", "text"
    }  # fmt: skip
    assert all(attribute in ("id", "role", "aria-labelledby", "viewBox", "width", "height") for attribute in root.attrib)  # fmt: skip # noqa: E501


def test_boxes_do_not_overlap_and_are_within_the_picture() -> None:
    layout = layout_of(orders().chart())
    boxes = list(layout.boxes.values())
    for number, box in enumerate(boxes):
        assert box.width / 2 < box.x < layout.width - box.width / 2
        assert 17 < box.y < layout.height - 17
        for other in boxes[:number]:
            apart = abs(box.x - other.x) >= (box.width + other.width) / 2 or abs(box.y - other.y) >= 34
            assert apart


def test_lines_lead_from_left_to_right_but_back() -> None:
    boxes = layout_of(orders().chart()).boxes
    assert boxes["start"].x < boxes["check"].x < boxes["gather"].x
    assert boxes["start"].x < boxes["repair"].x < boxes["failed"].x


def test_a_state_that_is_not_there_is_shown_as_lost() -> None:
    assert '"nowhere" [style="rounded,dashed", color=red]' in broken().render_graph()
    assert "nowhere is not defined." in broken().render_graph(output_format="svg")
    assert 'class="box lost loose"' in broken().render_graph(output_format="svg")


@pytest.mark.parametrize("form", FORMATS)
def test_equal_blueprints_have_equal_graphs(form: str) -> None:
    assert orders().render_graph(output_format=form) == orders().render_graph(output_format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_blueprint_without_states_has_a_graph(form: str) -> None:
    assert Blueprint("empty").render_graph(output_format=form)


def test_a_long_chain_is_laid_out() -> None:
    names = [f"s{n}" for n in range(2_000)]
    blueprint = Blueprint("long")
    for name, following in zip(names, [*names[1:], "s0"], strict=True):
        space: dict[str, Any] = {}
        exec(f"def run(actions): actions.go_to({following!r})", space)
        blueprint.handler(name, is_start=name == "s0")(space["run"])
    assert svg(blueprint.chart())


def test_the_graph_is_also_in_the_file_that_is_named(tmp_path: Path) -> None:
    text = orders().render_graph(tmp_path / "orders.svg", "svg")
    assert (tmp_path / "orders.svg").read_text("utf-8") == text


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="format must be one of dot, svg, mermaid, json") as refused:
        orders().render_graph(tmp_path / "orders.png", "png")
    assert refused.value.field == "format"
    assert not list(tmp_path.iterdir())
