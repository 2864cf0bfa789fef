"""Schemas of strangers have a bound for the work that they make, or are refused."""

import json
import time
from typing import Any

import pytest

from rxon.errors import ProtocolError
from rxon.schema.burden import MAX_BURDEN, MAX_FOREIGN, burden, work
from rxon.schema.validation import broken
from tests.perf.hostile import bombs

NODE = {
    "type": "object",
    "properties": {
        "left": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "right": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "value": {"type": "integer"},
    },
    "required": ["value"],
    "additionalProperties": False,
}
EMAIL = r"^[a-z0-9._%+-]{1,64}@[a-z0-9.-]{1,255}\.[a-z]{2,}$"


def nested(depth: int, around: Any) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = around(schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]},
        {"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"},
        {"anyOf": [{"type": "number"}, {"type": "array", "items": {"$ref": "#"}}]},
        {"type": "object", "additionalProperties": {"$ref": "#"}},
        {"properties": {"email": {"type": "string", "pattern": EMAIL}}},
        {"properties": {"a/b": {"type": "integer"}, "c": {"$ref": "#/properties/a~1b"}}},
        {"allOf": [{"type": "string"}], "prefixItems": [{"$ref": "#/allOf/0"}]},
        {"patternProperties": {"^[a-z]+$": {"type": "string"}}, "additionalProperties": False},
        nested(10, lambda inner: {"not": {"not": inner}}),
        True,
    ],
)
def test_a_schema_as_people_write_them_is_a_small_burden(schema: Any) -> None:
    assert burden(json.dumps(schema).encode()) < 100


@pytest.mark.parametrize(
    "schema",
    [
        *bombs().values(),
        {"$ref": "#"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"$defs": {"a": {}}, "$ref": "#/%24defs/a"},
        {"properties": {"a": {"$id": "http://x/y", "$ref": "#/a", "a": {}}}},
        {"$dynamicRef": "#"},
        {"type": "no such type"},
        {"pattern": "(?=a)b"},
        {"pattern": r"(a)\1"},
        {"description": "x" * MAX_FOREIGN},
        {"enum": [*range(MAX_BURDEN)]},
        nested(18, lambda inner: {"anyOf": [inner], "unevaluatedProperties": {"allOf": [{"type": "null"}]}}),
        json.loads('{"not":' * 900 + "{}" + "}" * 900),
        {"allOf": [{"properties": {f"p{k}": {"$ref": "#/$defs/d"}}} for k in range(40)], "$defs": {"d": 1}},
    ],
    ids=range(19),
)
def test_a_schema_without_a_bound_or_with_names_that_lead_elsewhere_is_refused(schema: Any) -> None:
    began = time.process_time()
    with pytest.raises(ProtocolError, match=r"schema|JSON Schema"):
        burden(json.dumps(schema).encode())
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("schema", [b"", b"{", b"\xff", b'{"minimum":1e999}'])
def test_what_is_no_schema_at_all_is_refused(schema: bytes) -> None:
    with pytest.raises(ProtocolError):
        burden(schema)


def test_the_burden_is_that_of_the_value_which_is_asked_the_most() -> None:
    one = {"type": "string", "minLength": 1, "maxLength": 9}
    assert burden(json.dumps({"items": one}).encode()) == len(one)
    twice = {"allOf": [{"items": one}, {"items": one}]}
    assert burden(json.dumps(twice).encode()) == 2 * len(one)
    apart = {"properties": {"a": one, "b": one}}
    assert burden(json.dumps(apart).encode()) == len(one)


def test_work_grows_with_the_data_and_with_nothing_else() -> None:
    schema = b'{"items":{"type":"integer"}}'
    few, many = (work(schema, json.dumps([7] * count).encode()) for count in (100, 1_000))
    assert 9 * few <= many <= 11 * few


@pytest.mark.parametrize("size", range(2, 80, 3))
def test_a_pattern_that_is_taken_is_quick_on_any_text(size: int) -> None:
    patterns = (
        f"^((a{{1,{size}}}){{1,{size}}})$",
        f"^(((a{{1,{size}}}){{1,{size}}}){{1,{size}}})$",
        f"(a|b)*a(a|b){{{6 * size}}}$",
        f"(a?){{{4 * size}}}a{{{4 * size}}}$",
    )
    for pattern in patterns:
        schema = json.dumps({"not": {"pattern": pattern}}).encode()
        try:
            burden(schema)
        except ProtocolError:
            continue
        began = time.process_time()
        for text in ("a" * 5_000, "ab" * 2_500, "a" * 4_999 + "b"):
            broken(schema, text)
        assert time.process_time() - began < 0.5
