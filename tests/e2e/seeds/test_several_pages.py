"""The three orchestrators of the worker's page: two of customers with their own tokens, and a spare one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port, until
from tests.e2e.seeds.conftest import WORKER_TOKEN, Node, Start


class Three:
    """The three orchestrators of the page: of two customers, with tokens of their own, and a spare one."""

    def __init__(self, folder: Path) -> None:
        tokens = {"a": "token-for-customer-a", "b": "token-for-customer-b", "spare": WORKER_TOKEN}
        ports = sorted((free_port() for _ in tokens), key=str)  # of equals, the first by address comes first
        places = zip(tokens.items(), ports, strict=True)
        self.nodes = [Node(folder / name, token, port) for (name, token), port in places]
        self.a, self.b, self.spare = self.nodes
        for node in self.nodes:
            node.until_ready()

    def config(self) -> str:
        first = {"url": self.a.api.url, "priority": 10, "weight": 100, "token": "token-for-customer-a"}
        second = {"url": self.b.api.url, "priority": 10, "weight": 50, "token": "token-for-customer-b"}
        return json.dumps([first, second, {"url": self.spare.api.url, "priority": 20, "weight": 10}])


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    three = Three(tmp_path)
    yield three
    for node in three.nodes:
        node.program.kill()


def test_failover_goes_down_the_list_and_back_up(three: Three, start: Start) -> None:
    start("sizes", ORCHESTRATORS_CONFIG=three.config(), ORCHESTRATOR_URL="http://127.0.0.1:9")
    assert three.a.result("succeed") == {"output": "some_value"}
    waiting = three.b.begun("succeed")
    assert three.a.result("succeed") == {"output": "some_value"}
    assert three.b.api.call("GET", f"/api/v1/jobs/{waiting}")[1]["status"] == "waiting_for_worker"
    three.a.program.kill()
    assert three.b.api.ended(waiting)["result"] == {"output": "some_value"}
    three.b.program.kill()
    assert three.spare.result("succeed") == {"output": "some_value"}
    three.a.program.run()
    three.a.until_ready()
    assert three.a.result("succeed") == {"output": "some_value"}


def test_round_robin_asks_by_weight(three: Three, start: Start) -> None:
    def finished(node: Node) -> int:
        return int(node.api.call("GET", "/api/v1/dashboard")[1]["jobs"].get("finished", 0))

    one = {"skill": "succeed", "params": {}, "transitions": {"success": "done"}, "task_priority": 0}
    for node in three.nodes:
        status, _ = node.api.call("POST", "/api/v1/jobs/one/batch", {"jobs": [{"initial_data": one}] * 100})
        assert status == 202
    mode = {"MULTI_ORCHESTRATOR_MODE": "ROUND_ROBIN", "MAX_CONCURRENT_TASKS": "1"}
    start("sizes", ORCHESTRATORS_CONFIG=three.config(), **mode)
    until(lambda: finished(three.a) >= 50, "the first was never served")
    first, second, spare = map(finished, three.nodes)  # one after the other, while work goes on
    assert first < 100
    assert 0.3 * first < second < 0.8 * first
    assert 0 < spare < 0.4 * second
