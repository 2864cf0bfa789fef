"""Schemas are made of types, and data is held against them in the words of the protocol."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from rxon.errors import ProtocolError
from rxon.schema.extraction import extract_schema
from rxon.schema.validation import MAX_MESSAGE, broken, check_schema, validate


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    """Somewhere."""

    x: int
    y: float = 0.5


@dataclass
class Picture:
    src: str
    at: Point
    tags: list[str] = field(default_factory=list)
    colour: Colour | None = None


class Struct(msgspec.Struct):
    src: str
    width: Annotated[int, msgspec.Meta(gt=0, le=4096)] = 64


class Loose(TypedDict):
    src: str
    page: NotRequired[int]


class Model(pydantic.BaseModel):
    src: str
    width: int = pydantic.Field(64, gt=0)


class Tree(msgspec.Struct):
    name: str
    children: list["Tree"] = []


@dataclass
class Holder:
    inside: Struct


@pytest.mark.parametrize("kind", [Struct, Loose, Model, Point, Picture])
def test_every_kind_of_class_is_a_closed_object(kind: Any) -> None:
    schema = extract_schema(kind)
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["required"] == (["x"] if kind is Point else ["src", "at"] if kind is Picture else ["src"])
    check_schema(msgspec.json.encode(schema))


def test_a_named_tuple_is_an_object_with_its_defaults() -> None:
    assert extract_schema(Point, closed=False) == {
        "title": "Point",
        "description": "Somewhere.",
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.5}},
        "required": ["x"],
    }


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Any, {}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, Any], {"type": "object"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        ({"type": "string", "x-own": 1}, {"type": "string", "x-own": 1}),
    ],
)
def test_plain_types_and_schemas_are_what_they_say(kind: Any, schema: dict[str, Any]) -> None:
    assert extract_schema(kind) == schema


def test_bounds_are_part_of_the_schema() -> None:
    for kind in (Struct, Model):
        assert extract_schema(kind)["properties"]["width"]["exclusiveMinimum"] == 0


def test_a_class_within_is_defined_and_closed_too() -> None:
    schema = extract_schema(Holder)
    assert schema["$defs"]["Struct"]["additionalProperties"] is False
    assert validate({"inside": {"src": "a", "y": 1}}, schema) == "Field 'inside': Unexpected field: 'y'"


def test_a_class_within_itself_is_followed_as_deep_as_the_data_is() -> None:
    schema = extract_schema(Tree)
    tree = {"name": "a", "children": [{"name": "b", "children": [{"name": 3}]}]}
    assert validate(tree, schema) == (
        "Field 'children': Item at index 0: Field 'children': Item at index 0: Field 'name': Expected string"
    )


def test_what_has_no_schema_is_named() -> None:
    with pytest.raises(TypeError, match="Lock"):
        extract_schema(type("Lock", (), {}))


SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string"},
        "n": {"type": ["integer", "null"], "maximum": 5},
        "e": {"enum": ["x", 2]},
        "l": {"type": "array", "items": {"type": "number"}},
        "o": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "d": {"type": "object", "required": ["k"]},
    },
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": "x"}, None),
        ({"a": "x", "n": None, "e": 2, "l": [1, 2.5], "o": 1, "d": {"k": 1, "more": 2}}, None),
        ({}, "Missing required field: 'a'"),
        ({"a": "x", "z": 1}, "Unexpected field: 'z'"),
        ({"a": 1}, "Field 'a': Expected string"),
        ({"a": None}, "Field 'a': Expected string, got null"),
        ({"a": "x", "n": "1"}, "Field 'n': Expected integer or null"),
        ({"a": "x", "e": "q"}, "Field 'e': Value 'q' is not allowed. Must be one of: ['x', 2]"),
        ({"a": "x", "o": 1.5}, "Field 'o': Value does not match any schemas"),
        ({"a": "x", "l": [1, "b"]}, "Field 'l': Item at index 1: Expected number"),
        ({"a": "x", "d": {}}, "Field 'd': Missing required field: 'k'"),
        ({"a": "x", "n": 9}, "Field 'n': 9 is greater than the maximum of 5"),
        ([], "Expected object"),
        (None, "Expected object, got null"),
    ],
)
def test_what_is_wrong_is_told_in_the_published_words(value: Any, message: str | None) -> None:
    assert validate(value, SCHEMA) == message


def test_another_dialect_is_not_judged() -> None:
    assert validate({}, SCHEMA, dialect="xsd") is None


def test_a_message_is_bounded_whatever_the_value() -> None:
    assert len(validate({"a": "x", "e": "q" * 10_000}, SCHEMA) or "") == MAX_MESSAGE
    assert len(validate({"x" * 10_000: 1, "a": ""}, SCHEMA) or "") == MAX_MESSAGE


def test_the_place_of_a_missing_member_is_that_of_the_member() -> None:
    found = broken(msgspec.json.encode(SCHEMA), {"a": "x", "d": {}})
    assert found is not None
    assert found.path == ".d.k"


@pytest.mark.parametrize(
    "schema",
    [
        b'{"type":"nothing"}',
        b'{"$ref":"http://127.0.0.1:9/schema.json"}',
        b'{"$ref":"file:///etc/passwd"}',
        b'{"$ref":"#/$defs/missing"}',
        b'{"pattern":"("}',
        b'{"enum":["' + b"x" * 70_000 + b'"]}',
        b'{"not":' * 5_000 + b"{}" + b"}" * 5_000,
        b"nonsense",
        b"\xff",
    ],
    ids=range(9),
)
def test_a_schema_that_is_wrong_refers_elsewhere_or_is_too_large_is_refused(schema: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_schema(schema)
    assert len(caught.value.message) <= MAX_MESSAGE


def test_a_pattern_that_would_never_end_is_given_up() -> None:
    began = time.process_time()
    found = validate("a" * 5_000 + "b", {"pattern": r"^(?=x?)((a+)+)+$(?<!c)"})
    assert found is not None
    assert time.process_time() - began < 2.0


def test_nothing_else_imports_the_extra() -> None:
    program = "import sys, rxon.schema.extraction, rxon.messages; sys.exit('jsonschema_rs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
