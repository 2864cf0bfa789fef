"""A task as a handler asks for it: a mapping of options, made into an order."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from avtomatika.blueprints.encoding import encoded
from avtomatika.blueprints.given import mapping, number, span, text, text_or_none
from avtomatika.blueprints.schema import check_schema
from avtomatika.errors import HandlerError, InvalidInput
from avtomatika.kernel.model import NULL, Order
from rxon.errors import ProtocolError
from rxon.requirements import parse

_OPTIONS: Final = frozenset(
    {
        "type",
        "task_type",
        "params",
        "skill_version",
        "skill_type",
        "dispatch_strategy",
        "timeout_seconds",
        "dispatch_timeout_seconds",
        "result_timeout_seconds",
        "resource_requirements",
        "output_schema",
        "max_cost",
        "priority",
        "retry",
    }
)


def order_of(task: Mapping[str, Any]) -> Order:
    """The order that a mapping with the options of `dispatch_task` makes. Raises HandlerError."""
    unknown = sorted(set(task) - _OPTIONS)
    if unknown:
        raise HandlerError(f"A task has no option {', '.join(unknown)}.")
    skill = task.get("type") or task.get("task_type")
    if skill is None:
        raise HandlerError("A task needs a 'type' (or 'task_type').")
    return Order(
        skill=text("type", skill),
        params=encoded("The params of a task", dict(mapping("params", task.get("params")))),
        skill_version=text_or_none(task, "skill_version"),
        skill_type=text_or_none(task, "skill_type"),
        strategy=text_or_none(task, "dispatch_strategy") or "default",
        max_cost=number(task, "max_cost"),
        requirements=_requirements(task.get("resource_requirements")),
        output_schema=schema_of("output_schema", task.get("output_schema")),
        priority=number(task, "priority") or 0.0,
        execution_timeout=span(task, "timeout_seconds"),
        dispatch_timeout=span(task, "dispatch_timeout_seconds"),
        result_timeout=span(task, "result_timeout_seconds"),
        retries=_retries(task.get("retry")),
    )


def _requirements(given: Mapping[str, Any] | None) -> Raw:
    if not given:
        return NULL
    try:
        parse(given)
    except ProtocolError as error:
        raise HandlerError(error.message) from error
    return encoded("resource_requirements", dict(given))


def schema_of(name: str, given: Mapping[str, Any] | None) -> Raw:
    """The JSON Schema as it is stored, null for None. Raises HandlerError when it is none."""
    if given is None:
        return NULL
    schema = encoded(name, dict(given))
    try:
        check_schema(bytes(schema))
    except InvalidInput as error:
        raise HandlerError(f"{name}: {error.message}") from error
    return schema


def _retries(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HandlerError(f"retry must be a whole number from 0, not {value!r}.")
    return value
