"""What is around every answer to a worker: version, compression, and when to come back (feature E1)."""

import gzip
import json
from typing import Any

import pytest

from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G4, Speaker
from tests.integration.http.conftest import Orchestrator, Start

LONG = "x" * 2_000


async def answer(
    node: Orchestrator, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, bytes]:
    """The status, the headers, and the body as it came."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    async with node.session.request(
        method, node.url + path, data=data, headers=given, auto_decompress=False
    ) as response:
        return response.status, response.headers, await response.read()


@pytest.mark.parametrize("kind", EVERY)
async def test_a_long_task_is_compressed_for_those_who_take_it_and_loses_no_header(
    start: Start, kind: type[Speaker]
) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01")
    await speaker.register()
    for accepts in ("gzip, deflate", "identity"):
        await node.create({"skill": speaker.skill, "params": {"text": LONG}}, "/api/v1/jobs/single")
        path = "/_worker/workers/cam-01/tasks/next?timeout=5"
        headers = {"X_Worker_Token": speaker.token, "Accept_Encoding": accepts}
        status, given, raw = await answer(node, "GET", path, **headers)
        assert (status, given["X-RXON-Version"], given["Content-Type"]) == (
            200,
            "2.0.0",
            "application/json",
        )
        assert given["Vary"] == "Accept-Encoding"
        packed = accepts != "identity"
        assert given.get("Content-Encoding") == ("gzip" if packed else None)
        assert len(raw) < 500 or not packed
        assert json.loads(gzip.decompress(raw) if packed else raw)["params"] == {"text": LONG}


async def test_a_short_answer_goes_as_it_is(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    headers = {"X_Worker_Token": speaker.token, "Accept_Encoding": "gzip"}
    body = speaker.in_shape(speaker.registration())
    status, given, raw = await answer(node, "POST", "/_worker/workers/register", body, **headers)
    assert (status, given.get("Content-Encoding"), json.loads(raw)["status"]) == (200, None, "registered")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_worker/workers/cam-01/tasks/next", 401),
        ("POST", "/_worker/workers/register", 400),
        ("DELETE", "/_worker/workers/cam-01", 405),
        ("GET", "/_worker/nothing", 404),
        ("GET", "/_worker/ws", 401),
    ],
)
async def test_every_answer_tells_the_version_also_when_it_is_an_error(
    start: Start, method: str, path: str, status: int
) -> None:
    node = await start(single())
    found, given, raw = await answer(node, method, path)
    assert (found, given["X-RXON-Version"]) == (status, "2.0.0")
    assert isinstance(json.loads(raw)["error"], str)


async def test_a_worker_that_is_told_to_wait_hears_how_long(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avtomatika.commands.presence import Presence
    from rxon.errors import RateLimitError, UnavailableError

    node = await start(single())
    speaker = G4(node, "cam-01")
    for error in (RateLimitError(retry_after=2.2), UnavailableError(retry_after=7)):

        async def refuse(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(Presence, "register", refuse)  # nothing real is as busy at will
        path, body = "/_worker/workers/register", speaker.in_shape(speaker.registration())
        status, given, raw = await answer(node, "POST", path, body, X_Worker_Token=speaker.token)
        expected = {429: "3", 503: "7"}
        assert given["Retry-After"] == expected[status]
        assert given["X-RXON-Version"] == "2.0.0"
        assert json.loads(raw)["code"] == error.code
