"""A task as a handler asks for it: a mapping of options, made into an order."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Raw

from avtomatika.blueprints.encoding import encoded
from avtomatika.blueprints.given import mapping, number, span, text, text_or_none
from avtomatika.blueprints.schema import check_schema
from avtomatika.errors import HandlerError, InvalidInput
from avtomatika.kernel.model import NULL, Order
from rxon.errors import ProtocolError
from rxon.requirements import parse


def order_of(task: Mapping[str, Any]) -> Order:
    """The order that a mapping with the options of `dispatch_task` makes. Raises HandlerError."""
    unknown = sorted(set(task) - _OPTIONS)
    if unknown:
        raise HandlerError(f"A task has no option {', '.join(unknown)}.")
    skill = task.get("type") or task.get("task_type")
    if skill is None:
        raise HandlerError("A task needs a 'type' (or 'task_type').")
    given: dict[str, Any] = {}
    for option, value in task.items():
        if value is not None and option in _FIELDS:
            field, checked = _FIELDS[option]
            given[field] = checked(task, option)
    params = encoded("The params of a task", dict(mapping("params", task.get("params"))))
    return Order(skill=text("type", skill), params=params, **given)


def _requirements(task: Mapping[str, Any], name: str) -> Raw:
    given = task[name]
    if not given:
        return NULL
    try:
        parse(given)
    except ProtocolError as error:
        raise HandlerError(error.message) from error
    return encoded(name, dict(given))


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


def _schema(task: Mapping[str, Any], name: str) -> Raw:
    return schema_of(name, task[name])


def _retries(task: Mapping[str, Any], name: str) -> int:
    value = task[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HandlerError(f"retry must be a whole number from 0, not {value!r}.")
    return value


# What is not given keeps the default of the order.
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any], str], object]]]] = {
    "skill_version": ("skill_version", text_or_none),
    "skill_type": ("skill_type", text_or_none),
    "dispatch_strategy": ("strategy", text_or_none),
    "max_cost": ("max_cost", number),
    "resource_requirements": ("requirements", _requirements),
    "output_schema": ("output_schema", _schema),
    "priority": ("priority", number),
    "timeout_seconds": ("execution_timeout", span),
    "dispatch_timeout_seconds": ("dispatch_timeout", span),
    "result_timeout_seconds": ("result_timeout", span),
    "retry": ("retries", _retries),
}
_OPTIONS: Final = {"type", "task_type", "params", *_FIELDS}
