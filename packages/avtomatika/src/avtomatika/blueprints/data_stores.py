"""What handlers find under `data_stores`: objects of the user, and stores that are kept (feature A11)."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote

from msgspec import Raw

from avtomatika.blueprints.encoding import decoded, encoded
from avtomatika.blueprints.home_loop import HomeLoop
from avtomatika.errors import HandlerError, InvalidInput
from avtomatika.ports.shelf import Shelf

BEGUN: Final = Raw(b"true")


class DataStores(SimpleNamespace):
    """The stores of a blueprint, as attributes and as items: `data_stores.cache`, `data_stores["cache"]`."""

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def __contains__(self, name: object) -> bool:
        return name in vars(self)


class NamedStore:
    """Values by name that outlive the process, shared by all jobs and all versions of a blueprint.

    In a coroutine every method is awaited. In a handler that is none, and so runs in a thread, the same
    methods return when it is done. What is stored is stored at once: it is no part of the decision that
    the handler comes to, and a handler that runs again stores again. A method may raise Unavailable, as
    may any use of the storage.
    """

    def __init__(self, shelf: Shelf, name: str, initial: Mapping[str, Any]) -> None:
        """*initial* is stored when the store is first used: each value once, as long as there is a store."""
        self._shelf, self._name, self._begun_name = shelf, f"data/{name}", f"begun/{name}"
        self._initial = {_key(key): encoded(f"{name}[{key!r}]", value) for key, value in initial.items()}
        self._begun = not initial
        self._done = HomeLoop().done

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or *default* when there is none."""
        return self._done(self._get(_key(key), default))

    def set(self, key: str, value: Any) -> Any:
        """The value, which must be JSON, is stored in place of an earlier one."""
        return self._done(self._set(_key(key), encoded(f"The value of {key!r}", value)))

    def delete(self, key: str) -> Any:
        """There is no value."""
        return self._done(self._delete(_key(key)))

    def items(self) -> Any:
        """A dict of all values."""
        return self._done(self._items())

    def incr(self, key: str, by: int = 1) -> Any:
        """The whole number there, 0 if there was none, is greater by *by*; the new number.

        No increment is lost, however many come at once. Raises HandlerError when the value is no whole
        number, or does not fit into 64 bits.
        """
        return self._done(self._incr(_key(key), by))

    async def _begin(self) -> None:
        if self._begun:
            return
        # What was stored once is noted, so that a value which was deleted since does not come back.
        noted = await self._shelf.items(self._begun_name)
        for key, value in self._initial.items():
            if key not in noted:
                await self._shelf.put_new(self._name, key, value)
                await self._shelf.put(self._begun_name, key, BEGUN)
        self._begun = True

    async def _get(self, key: str, default: Any) -> Any:
        await self._begin()
        value = await self._shelf.get(self._name, key)
        return default if value is None else decoded(value)

    async def _set(self, key: str, value: Raw) -> None:
        await self._begin()
        await self._shelf.put(self._name, key, value)

    async def _delete(self, key: str) -> None:
        await self._begin()
        await self._shelf.delete(self._name, key)

    async def _items(self) -> dict[str, Any]:
        await self._begin()
        found = await self._shelf.items(self._name)
        return {key: decoded(value) for key, value in found.items()}

    async def _incr(self, key: str, by: int) -> int:
        await self._begin()
        try:
            return await self._shelf.incr(self._name, key, by)
        except InvalidInput as error:
            raise HandlerError(f"{key!r} cannot be counted up: {error.message}") from error


class Keeper:
    """Gives the handlers of a node their stores: objects as they are, a dict as a named store."""

    def __init__(self, shelf: Shelf | None) -> None:
        self._shelf = shelf
        self._bound: dict[tuple[str, str], DataStores] = {}

    def stores(self, blueprint: str, edition: str, given: DataStores) -> DataStores:
        """The stores of one edition of a blueprint. To be called in the event loop of the node.

        Raises HandlerError when there is a dict and the node has no shelf.
        """
        if not any(map(_is_named, vars(given).values())):
            return given
        key = blueprint, edition
        if key not in self._bound:
            named = {name: self._named(blueprint, name, store) for name, store in vars(given).items()}
            self._bound[key] = DataStores(**named)
        return self._bound[key]

    def _named(self, blueprint: str, name: str, store: Any) -> Any:
        if not _is_named(store):
            return store
        if self._shelf is None:
            raise HandlerError(f"There is no storage here for the data store '{name}'.")
        return NamedStore(self._shelf, _store_name(blueprint, name), store)


def _is_named(store: object) -> bool:
    return type(store) is dict  # other mappings are objects of the user, with methods of their own


def _store_name(blueprint: str, name: str) -> str:
    return f"{quote(blueprint, safe='')}/{quote(name, safe='')}"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise HandlerError(f"The keys of a data store are texts, not {key!r}.")
    return key
