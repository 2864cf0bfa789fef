"""How much work a schema of a stranger can make: evaluations for each value, whatever the data.

References within a schema can make a few lines take for ever (each of thirty definitions that asks twice for
the next), and so can patterns. What is found here is a bound for all data, before there is any.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from rxon.codec import parse_float
from rxon.errors import ProtocolError
from rxon.schema.validation import MAX_MESSAGE

__all__ = ["MAX_BURDEN", "MAX_FOREIGN", "MAX_PATTERN", "burden", "work"]

MAX_FOREIGN: Final = 16_384
"""Bytes of such a schema."""

MAX_BURDEN: Final = 2_000
"""So many evaluations of one value at most."""

MAX_PATTERN: Final = 65_536
"""Bytes of a pattern that is compiled. One of four times as many can take a second for each kilobyte."""

MAX_LOOKS: Final = 4_000
PATTERN: Final = 5
LEFT_OVER: Final = 4  # who asks what nobody else has looked at looks at all of it several times
OTHER: Final = "\0other"
ITEM: Final = "\0item"

Json = Any
Slots = Iterator[tuple[str, Json]]

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_ONES: Final = ("not", "if", "then", "else")
_ITEMS: Final = ("items", "additionalItems", "contains", "unevaluatedItems")
_OTHERS: Final = ("additionalProperties", "propertyNames", "unevaluatedProperties")
_LEFT_OVER: Final = ("unevaluatedProperties", "unevaluatedItems")
_UNBOUNDED: Final = ("$dynamicRef", "$recursiveRef")
_COUNTED: Final = ("enum", "required", "properties", "dependentRequired", "dependencies")

_decode: Final = msgspec.json.Decoder(float_hook=parse_float).decode


def work(schema: bytes, data: bytes) -> int:
    """How many evaluations it takes at most to hold the data against the schema.

    Raises ProtocolError as `burden` does.
    """
    values = 1 + data.count(b",") + data.count(b"[") + data.count(b"{")
    return burden(schema) * values + len(data) // 16


def burden(schema: bytes) -> int:
    """How many evaluations one value of the data takes at most.

    Raises ProtocolError for what is no schema, or too large, and for one without a bound, with one above
    MAX_BURDEN, or with patterns that are too large or look around.
    """
    found = _judged(schema)
    if isinstance(found, str):
        raise ProtocolError(found)
    return found


@lru_cache(maxsize=4_096)
def _judged(schema: bytes) -> int | str:
    if len(schema) > MAX_FOREIGN:
        return f"A schema of others has at most {MAX_FOREIGN} bytes."
    try:
        decoded = _decode(schema)
        patterns = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN)
        jsonschema_rs.validator_for(decoded, retriever=_refuse, pattern_options=patterns)
        return _Walk(decoded).most()
    except (ValueError, msgspec.MsgspecError, RecursionError, jsonschema_rs.ReferencingError) as error:
        return f"This is no JSON Schema of others that can be used: {str(error).partition(chr(10))[0]}"[
            :MAX_MESSAGE
        ]


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema, and nothing is fetched")


class _Walk:
    """Which parts of a schema meet at one value, and how often each.

    A *meeting* counts parts by identity. All of it that one value meets in turn is its closure; members and
    items of the value have meetings of their own.
    """

    def __init__(self, schema: Json) -> None:
        self._root = schema
        self._parts: dict[int, Json] = {}
        self._closures: dict[int, Counter[int]] = {}
        self._open: set[int] = set()
        self._looks = 0

    def most(self) -> int:
        """The most that one value meets. Raises ValueError when there is no bound, or too high a one."""
        first = self._meeting([(1, self._root)])
        known, ahead, most = {first}, [first], 0
        while ahead:
            meeting = ahead.pop()
            most = max(most, sum(self._weight(self._parts[part]) * times for part, times in meeting))
            if most > MAX_BURDEN:
                raise ValueError("one value would be looked at too often")
            for following in self._below(meeting):
                if following not in known:
                    known.add(following)
                    ahead.append(following)
        return most

    def _below(self, meeting: frozenset[tuple[int, int]]) -> Iterator[frozenset[tuple[int, int]]]:
        slots: dict[str, list[tuple[int, Json]]] = {}
        for part, times in meeting:
            for slot, schema in _slots(self._parts[part]):
                slots.setdefault(slot, []).append((times, schema))
        for_all = slots.pop(OTHER, [])
        yield from (
            self._meeting([*found, *(() if slot is ITEM else for_all)]) for slot, found in slots.items()
        )
        if for_all:
            yield self._meeting(for_all)

    def _meeting(self, schemas: list[tuple[int, Json]]) -> frozenset[tuple[int, int]]:
        met = Counter[int]()
        for times, schema in schemas:
            for part, inner in self._closure(schema).items():
                met[part] += times * inner
        self._look(len(met) + 1)
        if sum(met.values()) > MAX_BURDEN:
            raise ValueError("one value would be looked at too often")
        return frozenset(met.items())

    def _closure(self, schema: Json) -> Counter[int]:
        """The schema and all that the same value is held against with it, and how often each."""
        name = id(schema)
        if not _is_object(schema):
            return Counter[int]()
        if name in self._open:
            raise ValueError("it refers to itself for ever")
        if name not in self._closures:
            self._open.add(name)
            self._parts[name] = schema
            found = Counter({name: 1})
            for inner in self._in_place(schema):
                found += self._closure(inner)
                self._look(len(found))
            if any(word in schema for word in _LEFT_OVER):
                found = Counter({part: LEFT_OVER * times for part, times in found.items()})
            if sum(found.values()) > MAX_BURDEN:
                raise ValueError("one value would be looked at too often")
            self._open.discard(name)
            self._closures[name] = found
        return self._closures[name]

    def _in_place(self, schema: Mapping[str, Json]) -> Iterator[Json]:
        self._refuse_names(schema)
        if isinstance(schema.get("$ref"), str):
            yield self._resolved(schema["$ref"])
        for word in _LISTS:
            yield from _listed(schema.get(word))
        yield from (schema[word] for word in _ONES if word in schema)
        for word in ("dependentSchemas", "dependencies"):
            yield from _members(schema.get(word)).values()

    def _refuse_names(self, schema: Mapping[str, Json]) -> None:
        named = schema is not self._root and isinstance(schema.get("$id", schema.get("id")), str)
        if named or any(word in schema for word in _UNBOUNDED):
            raise ValueError("it has names of its own for parts of it, and nobody can say where they lead")

    def _resolved(self, reference: str) -> Json:
        plain = reference == "#" or (reference.startswith("#/") and "%" not in reference)
        found: Json = self._root if plain else None
        for step in reference[2:].split("/") if len(reference) > 1 else ():
            key = step.replace("~1", "/").replace("~0", "~")
            self._look(len(found) if _is_list(found) else 1)
            found = _step(found, key)
        if found is None:
            raise ValueError(f"nobody can say where {reference[:80]} leads")
        return found

    def _weight(self, schema: Mapping[str, Json]) -> int:
        patterns = int("pattern" in schema) + len(_members(schema.get("patternProperties")))
        counts: list[Json] = [schema[word] for word in _COUNTED if word in schema]
        counted = sum(len(each) for each in counts if _is_list(each) or _is_object(each))
        return len(schema) + counted + PATTERN * patterns

    def _look(self, times: int) -> None:
        self._looks += times
        if self._looks > MAX_LOOKS:
            raise ValueError("it is too entangled")


def _step(place: Json, key: str) -> Json:
    if not _is_list(place):
        return _members(place).get(key)
    numbers = (str(number) for number in range(len(place)))
    return dict(zip(numbers, _listed(place), strict=True)).get(key)


def _slots(schema: Mapping[str, Json]) -> Slots:
    for name, inner in _members(schema.get("properties")).items():
        yield name, inner
    for inner in _members(schema.get("patternProperties")).values():
        yield OTHER, inner
    for word in _OTHERS:
        yield OTHER, schema.get(word)
    for word in (*_ITEMS, "prefixItems"):
        for inner in _listed(schema.get(word)):
            yield ITEM, inner


def _members(value: Json) -> Mapping[str, Json]:
    return value if _is_object(value) else {}


def _listed(value: Json) -> list[Json]:
    return value if _is_list(value) else [value]


def _is_object(value: Json) -> bool:
    return isinstance(value, dict)


def _is_list(value: Json) -> bool:
    return isinstance(value, list)
