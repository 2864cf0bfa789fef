"""Jobs as a handler may find them."""

from typing import Any

import msgspec
from msgspec import Raw

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.context import JobContext
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import NULL, Data, Job, Phase, Policy, Ready
from avtomatika.kernel.time import Instant


def raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def data(**values: Any) -> Data:
    return {name: raw(value) for name, value in values.items()}


def job(state: str = "start", phase: Phase | None = None, **fields: Any) -> Job:
    known: dict[str, Any] = {"blueprint": "b", "edition": "1", "version": 1, "last": NULL}
    return Job(
        id=JobId("j"),
        state=state,
        phase=phase or Ready(),
        policy=Policy(),
        created=Instant(0),
        updated=Instant(0),
        **(known | fields),
    )


def context(blueprint: Blueprint | None = None, **fields: Any) -> JobContext:
    blueprint = blueprint or Blueprint("b")
    given: dict[str, Any] = {
        "job_id": "j",
        "current_state": "start",
        "initial_data": {},
        "state_history": {},
        "actions": ActionFactory(),
        "client": ClientConfig(id="c"),
        "data_stores": blueprint.data_stores,
    }
    return JobContext(**(given | fields))
