"""What a blueprint says of input and results holds over HTTP: for clients, children and schedules."""

from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from avtomatika import Blueprint
from avtomatika.errors import ConfigError
from tests.integration.http.conftest import CLIENT_TOKEN, Orchestrator, Start


class Item(msgspec.Struct):
    price: float


@dataclass
class Order:
    items: list[Item]
    related: "list[Order]" = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("an order has items")


class Receipt(msgspec.Struct):
    total: float


def shop() -> Blueprint:
    flow = Blueprint("my shop", api_version="v1", api_endpoint="/jobs/flow")

    @flow.handler("start", is_start=True)
    async def start(initial_data: Order, state_history: dict[str, Any], actions: Any) -> None:
        state_history["total"] = sum(item.price for item in initial_data.items)
        actions.go_to("end")

    @flow.handler("end", is_end=True)
    async def end(total: float) -> Receipt:
        return Receipt(total) if total < 100 else {"total": "much"}  # type: ignore[return-value]  # a mistake

    return flow


def asking(child: str) -> Blueprint:
    flow = Blueprint("parent", api_version="v1", api_endpoint="/jobs/parent")

    @flow.handler("start", is_start=True)
    async def start(initial_data: dict[str, Any], actions: Any) -> None:
        actions.run_blueprint(child, initial_data, {"success": "finished"})

    return flow


async def refusal(node: Orchestrator, body: Any, path: str = "/api/v1/jobs/flow") -> tuple[int, str, str]:
    status, answer = await node.post(path, body)
    return status, answer["error"]["code"], answer["error"]["field"]


async def test_input_that_breaks_the_contract_is_refused_by_its_path(start: Start) -> None:
    node = await start(shop())
    for body, place in (
        ({}, "initial_data.items"),
        ({"initial_data": {"items": 1}}, "initial_data.items"),
        ({"items": [{"price": 1}, {"price": 2}, {"price": "3"}]}, "initial_data.items[2].price"),
        ({"items": []}, "initial_data"),
    ):
        assert await refusal(node, body) == (422, "contract_violation", place)
    batch = {"jobs": [{"items": [{"price": 1}]}, {"items": [{}]}]}
    found = await refusal(node, batch, "/api/v1/jobs/flow/batch")
    assert found == (422, "contract_violation", "jobs[1].initial_data.items[0].price")
    assert (await node.get("/api/v1/jobs"))[1]["jobs"] == []


async def test_a_job_that_keeps_the_contract_keeps_its_bytes(start: Start) -> None:
    node = await start(shop())
    job = await node.ended(await node.create(b'{"items": [{"price": 1E1, "also": 12345678901234567890123}]}'))
    assert job["result"] == {"total": 10.0}
    async with node.session.get(
        f"{node.url}/api/v1/jobs/{job['id']}?detailed=true", headers={"X-Client-Token": CLIENT_TOKEN}
    ) as response:
        assert b'[{"price": 1E1, "also": 12345678901234567890123}]' in await response.read()


async def test_a_result_that_breaks_the_contract_puts_the_job_aside(start: Start) -> None:
    node = await start(shop())
    job = await node.ended(await node.create({"items": [{"price": 100}]}))
    assert job["status"] == "quarantined"
    assert job["error"]["code"] == "CONTRACT_VIOLATION_ERROR"
    assert job["error"]["message"].startswith("result.total: ")


async def test_a_child_that_would_break_its_contract_is_not_started(start: Start) -> None:
    node = await start(shop(), asking("my shop"))
    right = await node.ended(await node.create({"items": [{"price": 1}]}, "/api/v1/jobs/parent"))
    assert right["status"] == "finished"
    wrong = await node.ended(await node.create({"items": [{}]}, "/api/v1/jobs/parent"))
    assert (wrong["status"], wrong["error"]["code"]) == ("quarantined", "CONTRACT_VIOLATION_ERROR")
    assert "initial_data.items[0].price" in wrong["error"]["message"]


async def test_a_schedule_that_would_break_the_contract_stops_the_start(start: Start, tmp_path: Any) -> None:
    file = tmp_path / "schedules.toml"
    file.write_text('[nightly]\nblueprint = "my shop"\ninterval_seconds = 60\ninput_data = { items = 1 }\n')
    with pytest.raises(ConfigError, match=r"nightly\.initial_data\.items"):
        await start(shop(), SCHEDULES_CONFIG_PATH=str(file))


async def test_the_document_shows_the_contract(start: Start) -> None:
    node = await start(shop())
    _, document = await node.call("GET", "/_public/openapi.json")
    body = document["paths"]["/api/v1/jobs/flow"]["post"]["requestBody"]["content"]["application/json"]
    plain = body["schema"]["anyOf"][1]
    assert plain["$ref"] == "#/components/schemas/Input_my_20_shop"
    check = jsonschema_rs.validator_for({**plain, "components": document["components"]})
    price = {"items": [{"price": 1}]}
    assert check.is_valid({**price, "related": [price]})
    assert not check.is_valid({**price, "related": [{"items": [{"price": "1"}]}]})
