"""What a handler returns or raises decides the result."""

import asyncio
import datetime
import decimal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from avtomatika_worker.types import InvalidInputError, PermanentError, TransientError
from rxon.messages import TaskError
from tests.unit.worker.calling import Called, call


async def returning(value: Any) -> Called:
    async def handler() -> Any:
        return value

    return await call(handler)


async def raising(error: BaseException) -> Called:
    async def handler() -> Any:
        raise error

    return await call(handler)


class Model(BaseModel):
    when: datetime.date


@dataclass
class Row:
    a: int


class Struct(msgspec.Struct):
    a: int


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"message": "Hello"}, {"message": "Hello"}),
        ({}, {}),
        (None, {}),
        (7, {"result": 7}),
        ("text", {"result": "text"}),
        ([1, 2], {"result": [1, 2]}),
        (Row(1), {"a": 1}),
        (Struct(1), {"a": 1}),
        (Model(when=datetime.date(2026, 1, 2)), {"when": "2026-01-02"}),
        ({"at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}, {"at": "2026-01-02T00:00:00Z"}),
        ({"p": Path("/a/b"), "d": decimal.Decimal("1.5"), "s": {1}}, {"p": "/a/b", "d": "1.5", "s": [1]}),
        ({"n": float("nan")}, {"n": None}),
        ({1: "a"}, {"1": "a"}),
    ],
)
async def test_a_value_without_envelope_keys_is_the_data(value: Any, data: Any) -> None:
    called = await returning(value)
    assert (called.status, called.data, called.error) == ("success", data, None)


async def test_an_envelope_is_taken_apart() -> None:
    called = await returning(
        {"status": "needs_review", "data": {"a": 1}, "metadata": {"m": 1}, "costs": {"tokens": 3}}
    )
    assert (called.status, called.data) == ("needs_review", {"a": 1})
    assert called.outcome is not None
    assert bytes(called.outcome.metadata or b"") == b'{"m":1}'
    assert called.outcome.costs is not None
    assert called.outcome.costs["tokens"] == 3


async def test_an_envelope_without_data_has_empty_data() -> None:
    called = await returning({"status": "success"})
    assert (called.status, called.data) == ("success", {})


async def test_data_that_is_no_object_is_wrapped() -> None:
    assert (await returning({"data": [1]})).data == {"result": [1]}


async def test_keys_beside_the_envelope_are_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (await returning({"status": "success", "path": "/x"})).data == {}
    assert "path" in caplog.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "PERMANENT_ERROR", "message": "bad"}, TaskError("PERMANENT_ERROR", "bad")),
        ({"code": "MINE", "message": "m", "details": {"a": 1}}, TaskError("MINE", "m", {"a": 1})),
        ({"message": "bad"}, TaskError("TRANSIENT_ERROR", "bad")),
        ({"code": "MINE"}, TaskError("MINE", "MINE")),
        ("disk full", TaskError("TRANSIENT_ERROR", "disk full")),
        (PermanentError("no"), TaskError("PERMANENT_ERROR", "no")),
    ],
)
async def test_an_error_may_be_an_object_a_text_or_an_exception(error: Any, expected: TaskError) -> None:
    called = await returning({"status": "failure", "error": error})
    assert (called.status, called.data, called.error) == ("failure", None, expected)
    assert (await returning({"error": error})).status == "failure"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransientError("later"), TaskError("TRANSIENT_ERROR", "later")),
        (PermanentError("never", details={"a": 1}), TaskError("PERMANENT_ERROR", "never", {"a": 1})),
        (InvalidInputError("wrong"), TaskError("INVALID_INPUT_ERROR", "wrong")),
        (ValueError("odd"), TaskError("TRANSIENT_ERROR", "odd")),
        (KeyError("k"), TaskError("TRANSIENT_ERROR", "'k'")),
        (TimeoutError(), TaskError("TRANSIENT_ERROR", "TimeoutError")),
        (SystemExit(3), TaskError("TRANSIENT_ERROR", "3")),
    ],
)
async def test_exceptions_become_errors(error: BaseException, expected: TaskError) -> None:
    called = await raising(error)
    assert (called.status, called.error) == ("failure", expected)


async def test_a_handler_that_cancels_itself_is_cancelled() -> None:
    assert (await raising(asyncio.CancelledError())).status == "cancelled"


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [{"x": object()}, object(), {"data": {"x": object()}}, {"x": "\ud800"}, {"x": endless()}, {"status": 7}],
)
async def test_what_cannot_be_written_as_json_is_a_permanent_error(value: Any) -> None:
    called = await returning(value)
    assert called.status == "failure"
    assert called.error is not None
    assert called.error.code == "PERMANENT_ERROR"
    assert "'work'" in called.error.message


async def test_the_duration_is_among_the_costs() -> None:
    called = await returning({"data": {}, "costs": {"tokens": 1}})
    assert called.outcome is not None
    costs = called.outcome.costs or {}
    assert costs["tokens"] == 1
    assert 0 <= costs["execution_time_seconds"] < 1
