"""The pages of the reference that are written by hand agree with the code."""

import importlib
import json
import re
from typing import Any, get_args

import pytest

import avtomatika
import avtomatika_worker
import rxon.messages
import rxon.stream.frames
from rxon.codec import decode
from rxon.http.server import add_routes
from tests.docs.pages import ROOT, Block, blocks

REFERENCE = ROOT / "docs" / "reference"


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next one of its rank."""
    text = (REFERENCE / page).read_text("utf-8")
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> set[str]:
    """The names in code of the first cells of all tables."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    return {found for cell in cells for found in re.findall(r"`([^`]+)`", cell)}


def messages() -> list[Block]:
    return [block for block in blocks(REFERENCE / "rxon.md") if block.verb == "rxon"]


@pytest.mark.parametrize("block", messages(), ids=lambda block: f"{block.rest}-{block.line}")
def test_an_example_of_rxon_is_the_message_that_it_stands_for(block: Block) -> None:
    kind = getattr(rxon.messages, block.rest)
    decode(kind, block.text.encode())
    assert set(json.loads(block.text)) <= set(kind.__struct_fields__)


def test_every_message_that_crosses_the_wire_by_itself_has_an_example() -> None:
    shown = {block.rest for block in messages()}
    assert shown >= {
        "EventAnswer",
        "Heartbeat",
        "HeartbeatAnswer",
        "Registered",
        "Registration",
        "ResultAnswer",
        "ResultAnswers",
        "ResultBatch",
        "TaskBatch",
        "TaskOffer",
        "TaskResult",
        "WorkerEvent",
    }


def frames() -> list[Block]:
    return [block for block in blocks(REFERENCE / "rxon.md") if block.verb == "frame"]


@pytest.mark.parametrize("block", frames(), ids=lambda block: f"{block.rest}-{block.line}")
def test_an_example_of_a_frame_is_the_frame_that_it_stands_for(block: Block) -> None:
    kind = getattr(rxon.stream.frames, block.rest)
    decode(kind, block.text.encode())
    assert set(json.loads(block.text)) <= {"frame", *kind.__struct_fields__}


def test_every_frame_has_an_example() -> None:
    both = (*get_args(rxon.stream.frames.ClientFrame), *get_args(rxon.stream.frames.ServerFrame))
    assert {block.rest for block in frames()} == {kind.__name__ for kind in both}


def test_rxon_lists_the_endpoints_that_are_served() -> None:
    from aiohttp import web

    app = web.Application()
    desk: Any = object()
    add_routes(app, lambda _: pytest.fail("nobody calls"), (), desk)
    served = {
        f"{route.method} {route.resource.canonical.replace('{worker_id}', 'ID')}"
        for route in app.router.routes()
        if route.resource is not None
    }
    assert first_column(section("rxon.md", "Endpoints")) - {str(n) for n in range(400, 600)} == served


@pytest.mark.parametrize("package", [avtomatika, avtomatika_worker], ids=lambda package: package.__name__)
def test_every_public_name_is_on_the_page_of_the_python_api(package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    listed = first_column(section("api.md", f"`{name}`").partition("###")[0])
    public = {each for each in package.__all__ if not each.startswith("__")}  # type: ignore[attr-defined]
    assert listed == public


@pytest.mark.parametrize("module", sorted(first_column(section("api.md", "`rxon`"))))
def test_every_module_of_rxon_that_is_named_can_be_imported(module: str) -> None:
    importlib.import_module(module)


def test_every_argument_of_handlers_is_described() -> None:
    from avtomatika.blueprints.injection import CONTEXT_NAMES

    listed = first_column(section("api.md", "`avtomatika`").partition("### Arguments of handlers")[2])
    assert listed - {"context"} == CONTEXT_NAMES


def test_every_member_of_a_job_is_described() -> None:
    from avtomatika.http.views import DetailedJobView

    listed = first_column(section("http.md", "Read a job"))
    assert set(DetailedJobView.__struct_fields__) <= listed


def test_every_status_of_a_job_is_described() -> None:
    from avtomatika.kernel.model import Status

    assert set(Status) <= first_column(section("http.md", "Read a job"))
