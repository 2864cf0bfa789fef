"""Annotations and schemas say what input and results are like, and a handler gets what it asked for."""

import dataclasses
import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, strategies

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.contracts import accept_input
from avtomatika.blueprints.injection import arguments, handler_of
from avtomatika.blueprints.loader import load_folder
from avtomatika.blueprints.run import run_handler
from avtomatika.errors import BlueprintError, ContractViolation
from avtomatika.kernel.decisions import Finish
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.model import Verdict
from avtomatika.kernel.retry import CONTRACT
from tests.unit.blueprints.jobs import context, data, job, raw

CLIENT = ClientConfig(id="c")
RIGHT = {"items": [{"price": 1}, {"price": 2.5}], "to": "x"}


@dataclass
class Item:
    price: float

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError("a price is never negative")


@dataclass
class Order:
    to: str
    items: list[Item] = field(default_factory=list)


class ItemStruct(msgspec.Struct):
    price: float

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError("a price is never negative")


class OrderStruct(msgspec.Struct):
    to: str
    items: list[ItemStruct] = []


class ItemModel(pydantic.BaseModel):
    price: float

    @pydantic.field_validator("price")
    @classmethod
    def _never_negative(cls, value: float) -> float:
        if value < 0:
            raise ValueError("a price is never negative")
        return value


class OrderModel(pydantic.BaseModel):
    to: str
    items: list[ItemModel] = []


@pydantic.dataclasses.dataclass
class OrderOfBoth:
    to: str
    items: list[ItemModel] = dataclasses.field(default_factory=list)


class OrderDict(TypedDict):
    to: str
    items: NotRequired[list[Item]]


class Plain(TypedDict):
    to: str


KINDS = [Order, OrderStruct, OrderModel, OrderOfBoth, OrderDict]


def taking(annotation: Any, *more: Any, **options: Any) -> Blueprint:
    made = Blueprint("b", **options)

    def start(initial_data: Any) -> None: ...

    start.__annotations__["initial_data"] = annotation
    made.handler("start", is_start=True, is_end=True)(start)
    for n, other in enumerate(more):

        def again(initial_data: Any) -> None: ...

        again.__annotations__["initial_data"] = other
        made.handler("start").when(f"context.initial_data.n == {n}")(again)
    return made


def refused(blueprint: Blueprint, **values: Any) -> str | None:
    with pytest.raises(ContractViolation) as caught:
        accept_input(blueprint, data(**values))
    return caught.value.field


@pytest.mark.parametrize("kind", KINDS)
def test_input_is_taken_that_is_as_the_class_says(kind: Any) -> None:
    accept_input(taking(kind), data(**RIGHT))
    accept_input(taking(kind), data(**RIGHT, more=[None]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, "initial_data.to"),
        ({"to": 1}, "initial_data.to"),
        ({"to": "x", "items": [{"price": 1}, {"price": "2"}]}, "initial_data.items[1].price"),
        ({"to": "x", "items": [{}]}, "initial_data.items[0].price"),
    ],
)
def test_the_field_that_is_wrong_is_named(kind: Any, values: Any, place: str) -> None:
    assert refused(taking(kind), **values) == place


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (Order, "initial_data.items[1]"),
        (OrderStruct, "initial_data.items[1]"),
        (OrderDict, "initial_data.items[1]"),
        (OrderModel, "initial_data.items[1].price"),
        (OrderOfBoth, "initial_data.items[1].price"),
    ],
)
def test_the_checks_of_the_class_itself_count(kind: Any, place: str) -> None:
    wrong = {"to": "x", "items": [{"price": 1}, {"price": -1}]}
    with pytest.raises(ContractViolation, match="a price is never negative") as caught:
        accept_input(taking(kind), data(**wrong))
    assert caught.value.field == place


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_gets_an_instance(kind: Any) -> None:
    def handler(initial_data: Any) -> None: ...

    handler.__annotations__["initial_data"] = kind
    found = arguments(handler_of(handler), context(initial_data=RIGHT))["initial_data"]
    if kind is OrderDict:
        assert found == {"to": "x", "items": [Item(1), Item(2.5)]}
    else:
        assert isinstance(found, kind)
        assert [item.price for item in found.items] == [1, 2.5]


def test_a_dictionary_with_nothing_to_make_stays_the_one_of_the_job() -> None:
    def handler(initial_data: Plain) -> None: ...

    whole = context(initial_data={"to": "x", "more": 1})
    assert arguments(handler_of(handler), whole)["initial_data"] is whole.initial_data


@pytest.mark.parametrize("annotation", [Any, dict, dict[str, Any], Mapping[str, Any], "dict[str, Unknown]"])
def test_plain_annotations_take_anything(annotation: Any) -> None:
    blueprint = taking(annotation)
    assert blueprint.input_schema is None
    accept_input(blueprint, data(whatever=[1]))
    handler = blueprint.states["start"].handlers[0]
    whole = context(initial_data={"a": 1})
    assert arguments(handler, whole)["initial_data"] is whole.initial_data


def test_the_schema_can_be_read() -> None:
    assert taking(Order).input_schema == {
        "title": "Order",
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        },
        "required": ["to"],
        "$defs": {
            "Item": {
                "title": "Item",
                "type": "object",
                "properties": {"price": {"type": "number"}},
                "required": ["price"],
            }
        },
    }


def test_a_schema_can_be_given_and_the_class_still_counts() -> None:
    schema = {"type": "object", "properties": {"to": {"enum": ["x", "y"]}}}
    blueprint = taking(Order, input_schema=schema)
    assert blueprint.input_schema == schema
    accept_input(blueprint, data(to="y"))
    assert refused(blueprint, to="z") == "initial_data.to"
    assert refused(blueprint, to="y", items=[{"price": -1}]) == "initial_data.items[0]"
    assert refused(taking(Any, input_schema=schema), to="z") == "initial_data.to"


def test_a_start_with_several_handlers_takes_what_one_of_them_takes() -> None:
    blueprint = taking(Order, Plain, ItemStruct)
    accept_input(blueprint, data(price=1))
    accept_input(blueprint, data(to="x"))
    assert refused(blueprint, other=1) == "initial_data"
    assert taking(Order, Any).input_schema is None


def test_optional_and_annotated_classes_are_classes() -> None:
    blueprint = taking(Annotated[Order | None, "the order"])
    assert refused(blueprint) == "initial_data"
    accept_input(blueprint, data(to="x"))


@dataclass
class Count:
    n: int


def test_json_has_one_kind_of_number() -> None:
    def handler(initial_data: Count) -> None: ...

    accept_input(taking(Count), data(n=3.0))
    assert arguments(handler_of(handler), context(initial_data={"n": 3.0}))["initial_data"] == Count(3)
    assert refused(taking(Count), n=3.5) == "initial_data.n"


def test_a_constructor_of_ones_own_is_called() -> None:
    @dataclass(init=False)
    class Doubled:
        n: int

        def __init__(self, n: int) -> None:
            if n == 0:
                raise ValueError("never zero")
            self.n = 2 * n

    def handler(initial_data: Doubled) -> None: ...

    assert arguments(handler_of(handler), context(initial_data={"n": 3}))["initial_data"].n == 6
    assert refused(taking(Doubled), n=0) == "initial_data"


def test_a_class_may_come_later_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "contracts_late.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from avtomatika import Blueprint\n"
        "late = Blueprint('late')\n"
        "@late.handler(is_start=True, is_end=True)\n"
        "def start(initial_data: Later) -> None: ...\n"
        "@dataclass\n"
        "class Later:\n"
        "    n: int\n"
    )
    ((_, blueprint),) = load_folder(tmp_path)
    blueprint.validate()
    assert refused(blueprint, n="x") == "initial_data.n"


def test_an_annotation_that_says_nothing_is_refused_before_any_job() -> None:
    blueprint = taking("Nowhere")
    with pytest.raises(BlueprintError, match=r"'initial_data' of .* cannot be read: name 'Nowhere'"):
        blueprint.validate()


def test_a_class_without_a_schema_asks_for_one_by_hand() -> None:
    class Odd(msgspec.Struct):
        value: object = None
        other: Blueprint | None = None

    with pytest.raises(BlueprintError, match="No JSON Schema can be made of Odd"):
        taking(Odd).validate()
    by_hand = taking(Odd, input_schema={"type": "object"})
    accept_input(by_hand, data(value=1, other=None))
    assert refused(by_hand, other={}) == "initial_data.other"


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:1/x"}, {"a": object()}])
def test_a_schema_that_is_none_is_refused(schema: Any) -> None:
    with pytest.raises(BlueprintError, match="The input schema of a blueprint cannot be used"):
        Blueprint("b", input_schema=schema)


@dataclass
class Doubtful:
    n: int

    def __post_init__(self) -> None:
        assert self.n, "never zero"


def test_an_assertion_of_the_class_is_a_check_like_others() -> None:
    with pytest.raises(ContractViolation, match="never zero"):
        accept_input(taking(Doubtful), data(n=0))


class Deep(msgspec.Struct):
    n: int = 0
    f: float = 0
    any: object = None
    more: "list[Deep] | None" = None
    d: dict[str, int] = {}


NAMES = strategies.sampled_from(["to", "items", "price", "n", "f", "any", "more", "d"])
NUMBERS = strategies.integers() | strategies.floats(allow_nan=False, allow_infinity=False)
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | NUMBERS | strategies.text(),
    lambda children: strategies.lists(children, max_size=3) | strategies.dictionaries(NAMES, children),
    max_leaves=12,
)
ALL = [taking(kind) for kind in (*KINDS, Deep, Count, Plain)]


@given(values=strategies.dictionaries(NAMES, JSON, max_size=5))
def test_whatever_comes_is_taken_or_refused(values: dict[str, Any]) -> None:
    sent = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}
    found = {name: msgspec.json.decode(value) for name, value in sent.items()}
    for blueprint in ALL:
        with suppress(ContractViolation):
            accept_input(blueprint, sent)
            arguments(blueprint.states["start"].handlers[0], context(initial_data=found))


def test_every_way_to_write_a_handler_is_understood() -> None:
    def plain(initial_data: Order) -> None: ...

    @functools.wraps(plain)
    def wrapped(*args: Any, **kwargs: Any) -> None: ...

    class Called:
        def __call__(self, initial_data: Order) -> None: ...

        def method(self, initial_data: Order) -> None: ...

    def more(extra: int, initial_data: Order) -> None: ...

    for function in (wrapped, Called(), Called().method, functools.partial(more, extra=1)):
        found = arguments(handler_of(function), context(initial_data={"to": "x"}, state_history={"extra": 1}))
        assert found["initial_data"] == Order("x")


async def test_data_that_a_handler_did_not_change_keeps_its_bytes() -> None:
    blueprint = Blueprint("b")

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: Any) -> None:
        initial_data["new"] = 1
        actions.go_to("start")

    given = {"a": msgspec.Raw(b"1E2"), "b": msgspec.Raw(b'{"c": 1.50}')}
    event = await run_handler(blueprint, job(input=given), (), CLIENT)
    assert isinstance(event, Decided)
    assert event.input == {**given, "new": raw(1)}


async def test_an_instance_that_cannot_be_made_at_a_run_breaks_the_contract() -> None:
    blueprint = taking(Order)
    event = await run_handler(blueprint, job(input=data(to=1)), (), CLIENT)
    assert isinstance(event, HandlerCrashed)
    assert (event.failure.code, event.failure.message[:16]) == (CONTRACT, "initial_data.to:")


def test_pydantic_is_for_those_who_have_it() -> None:
    program = (
        "import sys\n"
        "from dataclasses import dataclass\n"
        "from avtomatika.blueprints.shapes import shape_of\n"
        "kind = dataclass(type('Kind', (), {'__annotations__': {'n': int}}))\n"
        "assert shape_of(kind).make({'n': 1}).n == 1\n"
        "assert shape_of(kind).accepts()['required'] == ['n']\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Report(pydantic.BaseModel):
    pages: int = pydantic.Field(alias="numberOfPages")


def ending(returns: Any, value: Any, **options: Any) -> Blueprint:
    blueprint = Blueprint("b", **options)

    def start() -> Any:
        return value

    start.__annotations__["return"] = returns
    blueprint.handler(is_start=True, is_end=True)(start)
    return blueprint


async def finished(blueprint: Blueprint, **fields: Any) -> Any:
    """The result that the handler gave, or the failure."""
    event = await run_handler(blueprint, job(**fields), (), CLIENT)
    if isinstance(event, HandlerCrashed):
        return event.failure
    assert isinstance(event.decision, Finish)
    return msgspec.json.decode(event.decision.result)


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "seen"),
    [
        (Order, Order("x"), {"to": 1}, {"to": "x", "items": []}),
        (OrderStruct, OrderStruct("x"), {"items": []}, {"to": "x", "items": []}),
        (Plain, {"to": "x"}, None, {"to": "x"}),
        (Report, Report(numberOfPages=3), {"pages": 3}, {"numberOfPages": 3}),
        (Order | Report | None, Report(numberOfPages=3), 7, {"numberOfPages": 3}),
    ],
)
async def test_a_result_is_as_the_end_says_or_the_job_is_put_aside(
    kind: Any, right: Any, wrong: Any, seen: Any
) -> None:
    assert await finished(ending(kind, right)) == seen
    failure = await finished(ending(kind, wrong))
    assert failure.code == CONTRACT
    assert failure.message.startswith("result")


async def test_the_result_that_the_rules_choose_is_checked_too() -> None:
    def blueprint() -> Blueprint:
        return ending(None, None, output_schema={"type": "integer"})

    assert await finished(blueprint(), history=data(result=3)) is None
    assert await finished(blueprint(), last=raw(3)) is None
    assert (await finished(blueprint(), history=data(result="x"))).code == CONTRACT
    assert (await finished(blueprint())).code == CONTRACT


async def test_a_job_that_fails_owes_no_result() -> None:
    blueprint = Blueprint("b", output_schema={"type": "integer"})

    @blueprint.handler(is_start=True)
    async def start(actions: Any) -> None:
        actions.fail("no luck")

    event = await run_handler(blueprint, job(), (), CLIENT)
    assert isinstance(event, Decided)
    assert isinstance(event.decision, Finish)
    assert event.decision.verdict is Verdict.FAILED


def test_ends_that_return_anything_promise_nothing() -> None:
    blueprint = ending(Order, None)

    @blueprint.handler("other", is_end=True)
    def other() -> Any: ...

    @blueprint.handler("failed", is_end=True)
    def failed() -> None: ...

    assert blueprint.output_schema is None
    assert ending(Order, None).output_schema is not None
