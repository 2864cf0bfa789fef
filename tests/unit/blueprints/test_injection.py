"""A handler gets its arguments by name: the job's own names first, then its history, then its input."""

from typing import Any

import pytest

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.injection import CONTEXT_NAMES, arguments, handler_of
from avtomatika.errors import BlueprintError, HandlerError
from tests.unit.blueprints.jobs import context


def given(function: Any, **fields: Any) -> dict[str, Any]:
    return arguments(handler_of(function), context(**fields))


def test_the_names_of_the_seeds_are_the_names_of_the_job() -> None:
    names = {"job_id", "initial_data", "state_history", "actions", "client", "data_stores"}
    names |= {"aggregation_results", "tracing_context", "webhook_url", "task_files"}
    assert names <= CONTEXT_NAMES


def test_every_name_of_the_job_is_given() -> None:
    def handler(job_id: Any, initial_data: Any, state_history: Any, actions: Any, client: Any) -> None: ...

    found = context()
    assert arguments(handler_of(handler), found) == {
        "job_id": "j",
        "initial_data": found.initial_data,
        "state_history": found.state_history,
        "actions": found.actions,
        "client": ClientConfig(id="c"),
    }


def test_context_is_the_whole() -> None:
    def handler(context: Any) -> None: ...

    whole = context()
    assert arguments(handler_of(handler), whole)["context"] is whole


def test_the_history_comes_before_the_input_and_the_job_before_both() -> None:
    def handler(job_id: Any, a: Any, b: Any) -> None: ...

    found = given(
        handler,
        state_history={"job_id": "history", "a": "history"},
        initial_data={"job_id": "input", "a": "input", "b": "input"},
    )
    assert found == {"job_id": "j", "a": "history", "b": "input"}


def test_a_value_that_is_null_is_given() -> None:
    def handler(a: Any = 5) -> None: ...

    assert given(handler, initial_data={"a": None}) == {"a": None}
    assert given(handler, initial_data={"a": 1}, state_history={"a": None}) == {"a": None}


def test_a_default_is_left_where_nothing_provides_the_name() -> None:
    def handler(a: Any, b: Any = 5, *, c: Any = 6) -> None: ...

    assert given(handler, initial_data={"a": 1}) == {"a": 1}


def test_a_name_that_nothing_provides_is_named() -> None:
    def handler(output_path: str) -> None: ...

    with pytest.raises(HandlerError, match="'output_path'"):
        given(handler)


def test_open_ended_arguments_get_nothing() -> None:
    def handler(a: Any, *args: Any, **kwargs: Any) -> None: ...

    assert given(handler, initial_data={"a": 1, "b": 2, "args": 3}) == {"a": 1}


def test_an_argument_that_has_no_name_is_refused_at_registration() -> None:
    def handler(a: Any, /, b: Any) -> None: ...

    with pytest.raises(BlueprintError, match=r"by name; a cannot"):
        handler_of(handler)


def test_methods_and_objects_can_handle() -> None:
    class Steps:
        def method(self, a: Any) -> Any:
            return a

        def __call__(self, b: Any) -> Any:
            return b

    assert handler_of(Steps().method).names == ("a",)
    assert handler_of(Steps()).names == ("b",)


def test_a_coroutine_function_is_known_as_such() -> None:
    async def asynchronous() -> None: ...

    def synchronous() -> None: ...

    class Callable:
        async def __call__(self) -> None: ...

    assert handler_of(asynchronous).is_async
    assert not handler_of(synchronous).is_async
    assert handler_of(Callable()).is_async


def test_the_token_of_the_client_is_never_given() -> None:
    assert ClientConfig(id="c", config={"plan": "x"}).token == "***"


def test_data_stores_are_given_as_they_are() -> None:
    cache = object()
    blueprint = Blueprint("b", data_stores={"cache": cache})

    def handler(data_stores: Any) -> None: ...

    found = arguments(handler_of(handler), context(blueprint))
    assert found["data_stores"].cache is cache
