"""A thousand corners of JSON: what comes in comes out byte for byte, or is refused by name."""

import json
import random
import time
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from tests.integration.http.conftest import CLIENT_TOKEN, Orchestrator, Start

CASES = 1_000

ATOMS = [
    *("null", "true", "false", "0", "-0", "1", "1.0", "-1.0", "1e0", "1E5", "1e+5", "1e-5", "1.50", "0.1"),
    *("1e300", "1e308", "-1e308", "5e-324", "2.2250738585072014e-308", "123456789012345678", "0.10000000000"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615"),
    *("18446744073709551616", "-9223372036854775808", "-9223372036854775809", "1" * 50, "1e400", "-1e400"),
    *("01", "+1", ".5", "1.", "1e", "NaN", "Infinity", "-Infinity", "nul", "True", "0x10", "--1"),
    *('""', '"a"', '"\\u0041"', '"\\/"', '"\\n\\t"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"'),
    *('"\\ud800x"', '"\\u0000"', '"\x7f"', '"\x01"', '"\n"', '"\\x41"', '"\\u12"', '"é"', '"e\u0301"'),
    *('"\u2028\u2029"', '"\ufeff"', '"\U0001f4a9"', '"unfinished', "'single'", '"\\ud83d"', '"\\uDC00"'),
    *("[]", "{}", "[null]", "[1, 1.0]", "[ ]", "{ }", "[,]", "[1,]", '{"a":1,}', "{1:2}", '{"a" 1}', "[1 2]"),
    *('{"a":1,"a":2}', '{"a":{"b":1,"b":null}}', '{"\\u0061":1,"a":2}', '{"":0}', '{" ":0," ":1}'),
    *("/* no */ 1", "1 // no", "[1]]", "{}}", "", "\ufeff1"),
]
TWICE = [
    '{"initial_data":{"v":1,"v":2}}',
    '{"initial_data":{"v":1,"\\u0076":2}}',
    '{"initial_data":{"v":1},"initial_data":{"v":2}}',
    '{"v":1,"v":1}',
    '{"v":1,"w":{"v":1},"\\u0077":0}',
    '{"initial_data":{},"priority":1,"priority":2}',
]


def cases() -> list[str]:
    """Atoms alone, and within arrays, objects, depths and crowds; the same every time."""
    rng = random.Random(20_261_122)
    made = list(ATOMS)
    made += ["[" * depth + "1" + "]" * depth for depth in (10, 61, 62, 63, 64, 65, 200, 5_000)]
    made += ['{"a":' * depth + "null" + "}" * depth for depth in (10, 61, 62, 63, 64, 65, 200, 5_000)]
    made += ["[" + ",".join(["null"] * width) + "]" for width in (1_000, 50_000)]
    made += ["{" + ",".join(f'"k{n}":{n}.0' for n in range(width)) + "}" for width in (1_000, 20_000)]
    while len(made) < CASES:
        made.append(_grown(rng, rng.randint(1, 4)))
    return made


def _grown(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(ATOMS)
    space = rng.choice(["", "", " ", "\n\t "])
    inner = [_grown(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.5:
        return f"[{space}" + f",{space}".join(inner) + f"{space}]"
    names = [rng.choice(['"a"', '"b"', '"c"', '"\\u0061"', '""', '"null"']) for _ in inner]
    return "{" + ",".join(f"{n}{space}:{v}" for n, v in zip(names, inner, strict=True)) + "}"


def untouched() -> Blueprint:
    """A job whose handler looks at all data and changes other data."""
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow")

    @blueprint.handler(is_start=True)
    async def start(
        initial_data: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
    ) -> None:
        state_history["seen"] = len(initial_data)
        actions.wait_for_event("value", "end")

    @blueprint.handler(is_end=True)
    async def end(state_history: dict[str, Any]) -> None:
        state_history["over"] = True

    return blueprint


async def send(node: Orchestrator, path: str, body: bytes) -> tuple[int, bytes]:
    headers = {"X-Client-Token": CLIENT_TOKEN}
    async with node.session.post(node.url + path, data=body, headers=headers) as answer:
        return answer.status, await answer.read()


async def read(node: Orchestrator, job_id: str) -> bytes:
    path = f"{node.url}/api/v1/jobs/{job_id}?detailed=true&wait=10"
    async with node.session.get(path, headers={"X-Client-Token": CLIENT_TOKEN}) as answer:
        assert answer.status == 200
        return await answer.read()


def refused(status: int, body: bytes) -> bool:
    """Whether the answer is a clear refusal. Anything else but acceptance fails the test."""
    if status == 202:
        return False
    assert 400 <= status < 500, (status, body)
    error = json.loads(body)["error"]
    assert error["code"]
    assert error["message"]
    return True


@pytest.mark.timeout(120)
async def test_a_thousand_values_come_back_byte_for_byte_or_are_refused(start: Start) -> None:
    node = await start(untouched())
    taken = 0
    for case in cases():
        value = case.encode()
        status, body = await send(
            node, "/api/v1/jobs/flow", b'{"initial_data":{"before":null,"v":' + value + b"}}"
        )
        if refused(status, body):
            continue
        taken += 1
        job_id = json.loads(body)["job_id"]
        sent = b'{"told":' + value + b',"n":null}'
        status, body = await send(node, f"/api/v1/jobs/{job_id}/events/value", sent)
        assert status == 202, (case, body)
        kept = await read(node, job_id)
        assert b'"v":' + value.strip() in kept, (case[:200], kept[:500])
        assert b'"told":' + value.strip() in kept, (case[:200], kept[:500])
        assert b'"before":null' in kept
    print(f"{taken} of {CASES} taken and kept byte for byte, {CASES - taken} refused")
    assert 250 < taken < CASES - 100


@pytest.mark.parametrize("body", TWICE)
async def test_a_member_that_comes_twice_is_refused_by_name(start: Start, body: str) -> None:
    node = await start(untouched())
    status, answer = await send(node, "/api/v1/jobs/flow", body.encode())
    assert status == 400
    error = json.loads(answer)["error"]
    assert "comes twice" in error["message"]
    assert error["field"]


async def test_numbers_that_are_slow_to_read_cost_no_more_than_others(start: Start) -> None:
    node = await start(untouched())
    spent: list[float] = []
    for number in (b"12.25", b"1e300"):
        body = b'{"initial_data":{"v":[' + b",".join([number] * 120_000) + b"]}}"
        before = time.process_time()
        status, _ = await send(node, "/api/v1/jobs/flow", body)
        spent.append(time.process_time() - before)
        assert status == 202
    assert spent[1] < 5 * spent[0] + 0.5
