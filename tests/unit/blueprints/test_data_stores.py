"""Named stores: dicts among the data stores that outlive the process; and objects, which are as given."""

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.data_stores import DataStores, Keeper, NamedStore
from avtomatika.blueprints.run import run_handler
from avtomatika.errors import HandlerError
from avtomatika.kernel.events import Decided
from avtomatika.stores.shelf import MemoryShelf
from tests.unit.blueprints.jobs import job


def store(shelf: MemoryShelf, initial: dict[str, Any] | None = None, name: str = "counters") -> NamedStore:
    """The named store as handlers of a fresh node find it."""
    given = Blueprint("b", data_stores={name: initial or {}}).data_stores
    found = Keeper(shelf).stores("b", "1", given)[name]
    assert isinstance(found, NamedStore)
    return found


async def test_a_value_is_there_for_later_nodes() -> None:
    shelf = MemoryShelf()
    first = store(shelf)
    assert await first.get("k") is None
    assert await first.get("k", 5) == 5
    await first.set("k", {"a": [1, None]})
    await first.set("other", None)
    later = store(shelf)
    assert await later.get("k") == {"a": [1, None]}
    assert await later.get("other", "default") is None
    assert await later.items() == {"k": {"a": [1, None]}, "other": None}
    await later.delete("k")
    assert await first.items() == {"other": None}


async def test_no_increment_is_lost() -> None:
    counters = store(MemoryShelf())
    found = await asyncio.gather(*(counters.incr("k") for _ in range(100)))
    assert sorted(found) == list(range(1, 101))
    assert await counters.incr("k", by=-100) == 0
    assert await counters.get("k") == 0


async def test_what_is_no_whole_number_is_not_counted_up() -> None:
    words = store(MemoryShelf(), {"k": "text"})
    with pytest.raises(HandlerError, match="'k' cannot be counted up"):
        await words.incr("k")


async def test_initial_values_are_stored_once() -> None:
    shelf = MemoryShelf()
    first = store(shelf, {"a": 1, "b": 2})
    assert await first.incr("a") == 2
    await first.delete("b")
    later = store(shelf, {"a": 1, "b": 2, "c": 3})
    assert await later.items() == {"a": 2, "c": 3}


async def test_a_thread_calls_the_same_methods_and_waits_for_them() -> None:
    counters = store(MemoryShelf(), {"k": 1})

    def plain() -> list[Any]:
        counters.set("seen", threading.current_thread() is threading.main_thread())
        return [counters.incr("k"), counters.get("none", "default"), counters.items()]

    assert await asyncio.to_thread(plain) == [2, "default", {"k": 2, "seen": False}]


class SlowShelf(MemoryShelf):
    """One that does its work in a thread of the loop, as a disk that is slow makes the store do."""

    async def incr(self, store: str, key: str, by: int) -> int:
        await asyncio.to_thread(int)
        return await super().incr(store, key, by)


async def test_handlers_that_wait_for_the_storage_leave_it_its_threads() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    blueprint = Blueprint("b", data_stores={"counters": {}})

    @blueprint.handler("start", is_start=True, is_end=True)
    def start(data_stores: Any) -> int:
        number: int = data_stores.counters.incr("k")
        return number

    stores = Keeper(SlowShelf()).stores("b", "1", blueprint.data_stores)
    runs = (run_handler(blueprint, job(), (), ClientConfig(), stores) for _ in range(10))
    events = await asyncio.wait_for(asyncio.gather(*runs), 20)
    assert all(isinstance(event, Decided) for event in events)
    assert await stores.counters.get("k") == 10


async def test_a_loop_of_ones_own_can_await_them_too() -> None:
    counters = store(MemoryShelf())

    async def elsewhere() -> int:
        number: int = await counters.incr("k")
        return number

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == 1
    assert await counters.get("k") == 1


async def test_stores_are_apart_by_blueprint_and_name_and_shared_by_versions() -> None:
    keeper = Keeper(MemoryShelf())
    given = DataStores(a={}, b={})
    await keeper.stores("x", "1", given).a.set("k", 1)
    assert await keeper.stores("x", "2", given).a.get("k") == 1
    assert await keeper.stores("x", "1", given).b.get("k") is None
    assert await keeper.stores("y", "1", given).a.get("k") is None
    assert await keeper.stores("x/a", "1", DataStores(**{"": {}}))[""].get("k") is None


async def test_objects_that_are_no_dict_are_given_as_they_are() -> None:
    cache, mapping = object(), OrderedDict(a=1)
    given = Blueprint("b", data_stores={"cache": cache, "mapping": mapping, "kept": {}}).data_stores
    found = Keeper(MemoryShelf()).stores("b", "1", given)
    assert found.cache is cache
    assert found["mapping"] is mapping
    assert "kept" in found
    assert "other" not in found
    assert set(vars(found)) == {"cache", "mapping", "kept"}
    plain = DataStores(cache=cache)
    assert Keeper(None).stores("b", "1", plain) is plain


async def test_a_dict_without_a_shelf_is_refused_by_name() -> None:
    with pytest.raises(HandlerError, match="data store 'kept'"):
        Keeper(None).stores("b", "1", DataStores(kept={}))


@pytest.mark.parametrize(("key", "value"), [(1, 1), ("k", object()), (None, 1)])
async def test_only_texts_and_json_can_be_stored(key: Any, value: Any) -> None:
    with pytest.raises(HandlerError):
        await store(MemoryShelf()).set(key, value)


def test_an_initial_value_that_is_no_json_is_refused_at_once() -> None:
    async def build() -> None:
        store(MemoryShelf(), {"k": object()})

    with pytest.raises(HandlerError, match=r"counters\['k'\] must be JSON"):
        asyncio.run(build())
