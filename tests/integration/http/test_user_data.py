"""What users put in comes out as it was, through every place that it is kept in."""

import json
import math
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.conftest import Orchestrator, Start, Worker

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus-zero": -0.0,
    "one-as-float": 1.0,
    "small": 5e-324,
    "large": 1e300,
    "largest": 1.7976931348623157e308,
    "third": 0.1,
    "beyond-doubles": 2**53 + 1,
    "64-bits": 2**64 - 1,
    "most-negative": -(2**63),
    "empty-text": "",
    "unicode": "Grüße \u00e9 e\u0301 \u6f22 \U0001f4a9 \u2028\u2029 \ufffd \ufeff",
    "control": '\x00\x01\x1f\x7f"\\/\b\t\n\r',
    "looks-like-json": '{"a": null}',
    "looks-like-base64": "e30=",
    "long": "x" * 20_000,
    "empty-list": [],
    "empty-object": {},
    "nested-empties": [[], {}, [[]], [{}], {"": {}}, [None, [None]]],
    "members": {"null": None, "": 1, " ": 2, "\u2028": 3, "a.b": 4, "$ref": 5, "__class__": 6},
    "order": {"z": 1, "a": 2, "m": 3, "B": 4},
    "mixed": [1, 1.0, "1", True, None, [1], {"1": 1}],
}


def journey() -> Blueprint:
    """The input goes to a worker, what the worker says back into the history and into a second task."""
    blueprint = Blueprint("journey", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start(value: Any, actions: ActionFactory) -> None:
        actions.dispatch_task("work", {"value": value}, {"success": "second"})

    @blueprint.handler
    async def second(back: Any, state_history: dict[str, Any], actions: ActionFactory) -> None:
        state_history["kept"] = back
        actions.dispatch_parallel([{"type": "work", "params": {"value": back}}], "gather")

    @blueprint.aggregator
    async def gather(aggregation_results: dict[str, Any], actions: ActionFactory) -> Any:
        (result,) = aggregation_results.values()
        actions.go_to("done")
        return result["data"]

    @blueprint.handler(is_end=True)
    async def done(kept: Any) -> Any:
        return {"value": kept}

    return blueprint


def same(one: Any, other: Any) -> bool:
    """Equal down to the kind of every number and the order of every object."""
    return json.dumps(one) == json.dumps(other)


async def end_to_end(node: Orchestrator, worker: Worker, value: Any) -> dict[str, Any]:
    """The finished job of a value that every task of it saw as it was."""
    job_id = await node.create({"initial_data": {"value": value, "other": None}})
    for _ in range(2):
        task = await worker.take()
        assert same(task["params"], {"value": value})
        status, body = await worker.report(task, {"back": task["params"]["value"], "none": None})
        assert status == 200, body
    return await node.ended(job_id)


@pytest.mark.parametrize("name", VALUES)
async def test_a_value_arrives_everywhere_as_it_was_sent(start: Start, name: str) -> None:
    value = VALUES[name]
    node = await start(journey())
    job = await end_to_end(node, await node.worker(), value)
    assert same(job["initial_data"], {"value": value, "other": None})
    assert same(job["state_history"]["back"], value)
    assert same(job["state_history"]["kept"], value)
    assert same(job["state_history"]["none"], None)
    assert same(job["result"], {"value": value})


async def test_all_values_at_once_arrive_as_they_were_sent(start: Start) -> None:
    node = await start(journey())
    job = await end_to_end(node, await node.worker(), VALUES)
    assert same(job["result"], {"value": VALUES})


async def test_a_float_stays_a_float_in_the_hands_of_a_handler(start: Start) -> None:
    seen: list[Any] = []
    blueprint = Blueprint("seen", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True, is_end=True)
    async def start_here(initial_data: dict[str, Any]) -> Any:
        seen.append(initial_data)
        return initial_data

    node = await start(blueprint)
    sent = b'{"a":1.0,"b":1,"c":-0.0,"d":9007199254740993,"e":1E2,"f":null}'
    job = await node.ended(await node.create(sent))
    assert same(seen[0], {"a": 1.0, "b": 1, "c": -0.0, "d": 2**53 + 1, "e": 100.0, "f": None})
    assert math.copysign(1, seen[0]["c"]) == -1
    assert same(job["initial_data"], json.loads(sent))


@pytest.mark.parametrize("data", [None, 3, 1.0, "text", [1, None], True, {}, [], {"a": None}])
async def test_data_of_any_kind_is_the_result_when_nothing_else_is(start: Start, data: Any) -> None:
    blueprint = Blueprint("plain", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start_here(actions: ActionFactory) -> None:
        actions.dispatch_task("work", {}, {"success": "finished"})

    node = await start(blueprint)
    worker = await node.worker()
    job_id = await node.create()
    await worker.report(await worker.take(), data)
    assert same((await node.ended(job_id))["result"], data)


async def test_integers_beyond_64_bits_are_kept_or_refused_never_changed(start: Start) -> None:
    node = await start(journey())
    worker = await node.worker()
    for number in (2**64, -(2**63) - 1, 10**30, 10**400):
        status, body = await node.post("/api/v1/jobs/flow", b'{"value":%d}' % number)
        if status != 202:
            assert (status, body["error"]["code"]) == (400, "invalid_json")
            continue
        assert same((await node.job(body["job_id"]))["initial_data"], {"value": number})
        assert same((await worker.take())["params"], {"value": number})
