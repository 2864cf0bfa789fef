"""A handler gets the parameters of its task in the shape that it asks for."""

from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pytest
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from avtomatika_worker import SkillBlueprint, TaskFiles
from avtomatika_worker.errors import SkillError
from tests.unit.worker.calling import Bench, call, offer


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Resize:
    width: int
    at: Point = field(default_factory=lambda: Point(0))

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise ValueError("width must be positive")


class Model(BaseModel):
    width: int = Field(gt=0)


class Struct(msgspec.Struct):
    width: int


class Typed(TypedDict):
    width: int


@pydantic_dataclass
class Checked:
    width: int


class Unknown:
    pass


@dataclass
class Exotic:
    width: Any
    thing: Unknown | None = None


@dataclass
class Initialised:
    width: int
    scale: InitVar[int] = 1

    def __post_init__(self, scale: int) -> None:
        self.width *= scale


class Nested(msgspec.Struct):
    model: Model
    path: Path


def repeat(params: Any) -> Any:
    return {"seen": repr(params)}


@pytest.mark.parametrize("annotation", [dict, dict[str, Any], Any, object, None])
async def test_a_dict_is_passed_as_it_came(annotation: Any) -> None:
    async def handler(params):  # type: ignore[no-untyped-def]
        return {"seen": params}

    if annotation is not None:
        handler.__annotations__["params"] = annotation
    params = {"a": None, "b": 1.0, "c": [1, {"d": "é"}]}
    assert (await call(handler, params)).data == {"seen": params}


@pytest.mark.parametrize("kind", [Resize, Model, Struct, Checked, Exotic])
async def test_a_typed_parameter_is_an_instance_and_extra_keys_are_dropped(kind: Any) -> None:
    async def handler(params: Any) -> Any:
        assert isinstance(params, kind)
        return {"width": params.width}

    handler.__annotations__["params"] = kind
    assert (await call(handler, {"width": 3, "unasked": 1})).data == {"width": 3}


async def test_nested_dataclasses_are_built() -> None:
    async def handler(params: Resize) -> Any:
        return {"x": params.at.x, "y": params.at.y}

    assert (await call(handler, {"width": 1, "at": {"x": 5, "more": 0}})).data == {"x": 5, "y": 0}


async def test_a_class_that_only_its_constructor_can_make_is_constructed() -> None:
    async def handler(params: Initialised) -> Any:
        return {"width": params.width}

    assert (await call(handler, {"width": 2, "scale": 3, "unasked": 0})).data == {"width": 6}


async def test_what_has_no_json_form_stays_as_it_came() -> None:
    async def handler(params: Exotic) -> Any:
        return {"thing": params.thing}

    assert (await call(handler, {"width": 1, "thing": {"a": 1}})).data == {"thing": {"a": 1}}


async def test_models_and_paths_may_be_nested() -> None:
    async def handler(params: Nested) -> Any:
        return {"seen": [params.model.width, params.path.name]}

    assert (await call(handler, {"model": {"width": 1}, "path": "/a/b"})).data == {"seen": [1, "b"]}


async def test_an_optional_model_may_be_null() -> None:
    async def handler(model: Model | None, other: Model | None = None) -> Any:
        return {"seen": [model and model.width, other]}

    assert (await call(handler, {"model": {"width": 1}})).data == {"seen": [1, None]}
    assert (await call(handler, {"model": None})).data == {"seen": [None, None]}


async def test_a_typed_dict_keeps_only_its_keys() -> None:
    async def handler(params: Typed) -> Any:
        return {"seen": params}

    assert (await call(handler, {"width": 3, "unasked": 1})).data == {"seen": {"width": 3}}


async def test_a_whole_float_is_a_whole_number() -> None:
    async def handler(params: Resize) -> Any:
        return {"width": repr(params.width)}

    assert (await call(handler, {"width": 3.0})).data == {"width": "3"}


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        (Resize, {"width": -1}, "width must be positive"),
        (Resize, {}, "Missing required parameter: width"),
        (Resize, {"width": 1, "at": {}}, "Missing required parameter: x - at `$.at`"),
        (Resize, {"width": "wide"}, "Expected `int`, got `str` - at `$.width`"),
        (Exotic, {}, "Missing required parameter: width"),
        (Initialised, [], "Expected `object`"),
        (Exotic, [], "Expected `object`, got `array`"),
        (Nested, {"model": {"width": 0}, "path": "a"}, "Input should be greater than 0"),
        (Model, {"width": 0}, "Input should be greater than 0"),
        (Checked, {"width": "wide"}, "Input should be a valid integer"),
        (Struct, {}, "Missing required parameter: width"),
        (Typed, {"width": None}, "Expected `int`, got `null`"),
    ],
)
async def test_wrong_parameters_are_invalid_input_with_the_reason(
    kind: Any, params: Any, message: str
) -> None:
    def handler(params: Any) -> Any:
        raise AssertionError("must not be called")

    handler.__annotations__["params"] = kind
    called = await call(handler, params)
    assert called.status == "failure"
    assert called.error is not None
    assert called.error.code == "INVALID_INPUT_ERROR"
    assert message in called.error.message


class Line(BaseModel):
    price: float = Field(gt=0)


class Order(BaseModel):
    lines: list[Line]


class Page(TypedDict):
    number: int


@dataclass
class Pages:
    pages: list[Resize]


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        (Resize, {"width": "wide"}, "width"),
        (Resize, {}, "width"),
        (Pages, {"pages": [{"width": 1}, {"width": "wide"}]}, "pages[1].width"),
        (Pages, {"pages": [{}]}, "pages[0].width"),
        (Initialised, {}, "width"),
        (Struct, {"width": None}, "width"),
        (Page, {"number": "one"}, "number"),
        (Page, {}, "number"),
        (Order, {"lines": [{"price": 1}, {"price": -1}]}, "lines[1].price"),
        (Order, {}, "lines"),
    ],
)
async def test_wrong_parameters_are_reported_with_their_field(kind: Any, params: Any, field: str) -> None:
    async def handler(params: Any) -> None:
        raise AssertionError("must not be called")

    handler.__annotations__["params"] = kind
    error = (await call(handler, params)).error
    assert error is not None
    assert (error.code, error.details) == ("INVALID_INPUT_ERROR", {"field": field})


async def test_the_field_of_a_parameter_of_its_own_begins_with_its_name() -> None:
    async def handler(order: Order, pages: list[int], count: int) -> None:
        raise AssertionError("must not be called")

    right = {"order": {"lines": []}, "pages": [1], "count": 1}
    for name, value, place in [
        ("order", {"lines": [{"price": 0}]}, "order.lines[0].price"),
        ("pages", [1, "x"], "pages[1]"),
        ("count", "x", "count"),
    ]:
        error = (await call(handler, right | {name: value})).error
        assert error is not None
        assert (error.code, error.details) == ("INVALID_INPUT_ERROR", {"field": place})


async def test_what_a_class_itself_objects_to_is_reported_in_its_words() -> None:
    @dataclass
    class ResizeParams:
        width: int
        height: int

        def __post_init__(self) -> None:
            if self.width <= 0 or self.height <= 0:
                raise ValueError("Width and height must be positive.")

    async def handler(params: ResizeParams, **kwargs: Any) -> Any:
        return {"area": params.width * params.height}

    assert (await call(handler, {"width": 2, "height": 3})).data == {"area": 6}
    error = (await call(handler, {"width": 0, "height": 3})).error
    assert error is not None
    assert (error.code, error.message) == ("INVALID_INPUT_ERROR", "Width and height must be positive.")


async def test_annotations_may_be_text() -> None:
    async def handler(params: "Resize", files: "TaskFiles") -> Any:
        return {"types": [type(params).__name__, type(files).__name__]}

    assert (await call(handler, {"width": 1})).data == {"types": ["Resize", "TaskFiles"]}


async def test_text_annotations_of_local_classes_are_found() -> None:
    @dataclass
    class Local:
        width: int

    async def handler(params: "Local") -> Any:
        return {"same": isinstance(params, Local)}

    assert (await call(handler, {"width": 1})).data == {"same": True}


async def test_other_parameters_are_members_of_the_task_parameters() -> None:
    async def handler(width: int, height: int = 2, *, at: Point | None = None) -> Any:
        return {"area": width * height, "x": at.x if at else None}

    assert (await call(handler, {"width": 3})).data == {"area": 6, "x": None}
    assert (await call(handler, {"width": 3, "height": 5, "at": {"x": 1}})).data == {"area": 15, "x": 1}
    missing = await call(handler, {"height": 5})
    assert missing.error is not None
    assert (missing.error.code, missing.error.message) == (
        "INVALID_INPUT_ERROR",
        "Missing required parameter: width",
    )


async def test_named_values_are_injected() -> None:
    async def handler(
        task_id: str,
        job_id: str,
        priority: float,
        deadline: int | None,
        tracing_context: dict[str, Any],
        metadata: dict[str, Any],
    ) -> Any:
        return {"seen": [task_id, job_id, priority, deadline, tracing_context, metadata]}

    called = await call(
        handler,
        priority=2.5,
        deadline=1790000000,
        tracing_context={"traceparent": "00"},
        metadata=msgspec.Raw(b'{"tenant":"t1"}'),
    )
    seen = ["task-1", "job-1", 2.5, 1790000000, {"traceparent": "00"}, {"tenant": "t1"}]
    assert called.data == {"seen": seen}


@pytest.mark.parametrize(("said", "kind"), [(0.0, "int"), (7.0, "int"), (-1.5, "float")])
async def test_a_priority_is_an_int_unless_it_has_a_fraction(said: float, kind: str) -> None:
    async def handler(priority: float) -> Any:
        return {"kind": type(priority).__name__, "value": priority}

    assert (await call(handler, priority=said)).data == {"kind": kind, "value": said}


async def test_kwargs_get_everything_that_is_injected() -> None:
    async def handler(params: dict[str, Any], **kwargs: Any) -> Any:
        kwargs["add_to_hot_cache"]("m")
        kwargs["remove_from_hot_cache"]("m")
        return {"names": sorted(kwargs), "task": kwargs.get("task_id"), "cancelled": kwargs["is_cancelled"]()}

    data = (await call(handler, {"task_id": "fake"})).data
    assert data == {
        "names": [
            "add_to_hot_cache",
            "add_to_hot_skills",
            "deadline",
            "is_cancelled",
            "job_id",
            "metadata",
            "priority",
            "remove_from_hot_cache",
            "remove_from_hot_skills",
            "security",
            "send_event",
            "send_progress",
            "task_id",
            "tracing_context",
        ],
        "task": "task-1",
        "cancelled": False,
    }


async def test_task_files_are_found_by_annotation_whatever_the_name(tmp_path: Path) -> None:
    async def handler(folder: TaskFiles | None) -> Any:
        assert folder is not None
        await folder.write("a.txt", "x")
        return {"root": await folder.get_root()}

    called = await call(handler, files_root=tmp_path)
    assert called.data == {"root": str(tmp_path.resolve() / "task-1")}


async def test_null_parameters_are_an_empty_dict() -> None:
    async def handler(params: dict[str, Any]) -> Any:
        return {"seen": params}

    skills = SkillBlueprint()
    skills.skill("work")(handler)
    task = msgspec.structs.replace(offer(), params=msgspec.Raw(b"null"))
    (outcome,) = await Bench(skills).run(task)
    assert outcome is not None
    assert outcome.data == msgspec.Raw(b'{"seen":{}}')


def test_a_handler_that_tasks_cannot_call_is_refused_at_once() -> None:
    skills = SkillBlueprint()

    async def positional(params: dict[str, Any], /) -> Any: ...

    with pytest.raises(SkillError):
        skills.skill(positional)
