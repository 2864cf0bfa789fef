"""Which parameters a skill takes, in JSON Schema and in words."""

import inspect
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from avtomatika_worker.skills.skills import Skill
from rxon.schema.extraction import Schema, extract_schema

__all__ = ["lines_of", "parameters_of"]

WHOLE: Final = "params"
_UNTYPED: Final[tuple[Any, ...]] = (Any, dict, object)


def parameters_of(skill: Skill) -> Schema:
    """The schema that the skill declares; else the one that the annotations of its handler mean."""
    if skill.info.input_schema is not None:
        return skill.info.input_schema
    wants = skill.invocation.wants
    schema = _schema(wants[WHOLE]) if WHOLE in wants else {}
    members: dict[str, Schema] = {}
    required: list[str] = []
    arguments = inspect.signature(skill.invocation.handler).parameters
    for name, annotation in wants.items():
        if name == WHOLE:
            continue
        members[name] = _schema(annotation)
        default = arguments[name].default
        if default is inspect.Parameter.empty:
            required.append(name)
        else:
            members[name]["default"] = default
    if not members:
        return schema
    merged = {**schema, "type": "object", "properties": {**schema.get("properties", {}), **members}}
    merged["required"] = [*schema.get("required", []), *required]
    return merged


def lines_of(skill: Skill) -> Iterator[str]:
    """One line for each parameter: name, type, whether it is needed, what it is for."""
    schema = parameters_of(skill)
    members: dict[str, Schema] = schema.get("properties", {})
    if not members:
        yield "any parameters" if WHOLE in skill.invocation.wants else "no parameters"
        return
    width = max(map(len, members))
    needed = schema.get("required", [])
    for name, member in members.items():
        words = [_type(member, schema)]
        if name in needed:
            words.append("required")
        elif "default" in member:
            words.append(f"default {_text(member['default'])}")
        words += [f"{word} {_text(member[key])}" for key, word in _LIMITS.items() if key in member]
        if "description" in member:
            words.append(str(member["description"]))
        yield f"{name:<{width}}  {', '.join(words)}"


_LIMITS: Final = {
    "minimum": "from",
    "exclusiveMinimum": "more than",
    "maximum": "up to",
    "exclusiveMaximum": "less than",
    "minLength": "length from",
    "maxLength": "length up to",
    "pattern": "matching",
}


def _schema(annotation: Any) -> Schema:
    if annotation in _UNTYPED:
        return {}
    try:
        return extract_schema(annotation, closed=False)
    except TypeError:  # a type of the user's own that nobody knows how to describe
        return {}


def _type(member: Schema, whole: Schema) -> str:
    if "enum" in member:
        return " or ".join(_text(value) for value in member["enum"])
    choices: list[Schema] = member.get("anyOf") or member.get("oneOf") or []
    if choices:
        return " or ".join(dict.fromkeys(_type(choice, whole) for choice in choices))
    if "$ref" in member:
        return str(member["$ref"]).rpartition("/")[2]
    kind = member.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))  # pyright: ignore[reportUnknownArgumentType] - JSON
    items = member.get("items")
    return f"array of {_type(items, whole)}" if kind == "array" and items else str(kind)


def _text(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        return repr(value)
