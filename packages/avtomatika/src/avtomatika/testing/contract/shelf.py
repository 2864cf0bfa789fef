"""Named values: put, counted, deleted, and there for the next process."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.ports.shelf import Shelf
from avtomatika.testing.contract.kinds import ODD, ODD_KEYS

Restart = Callable[[], Awaitable[Shelf]]

ONE, TWO = Raw(b"1"), Raw(b'{"a": 2.0}')
MOST = 2**63 - 1


class ValueContract:
    """Values by store and key."""

    async def test_what_nobody_put_is_not_there(self, shelf: Shelf) -> None:
        assert await shelf.get("s", "k") is None
        assert await shelf.items("s") == {}

    async def test_a_later_value_takes_the_place_of_an_earlier_one(self, shelf: Shelf) -> None:
        for value in (ONE, TWO, Raw(b"null"), ONE):
            await shelf.put("s", "k", value)
            assert await shelf.get("s", "k") == value
        assert await shelf.items("s") == {"k": ONE}

    @pytest.mark.parametrize("name", ODD)
    async def test_a_value_is_kept_byte_for_byte(self, shelf: Shelf, name: str) -> None:
        await shelf.put("s", "k", Raw(ODD[name]))
        await shelf.put_new("s", "new", Raw(ODD[name]))
        for key in ("k", "new"):
            kept = await shelf.get("s", key)
            assert kept is not None
            assert bytes(kept) == ODD[name]
        assert [bytes(value) for value in (await shelf.items("s")).values()] == [ODD[name]] * 2

    async def test_a_large_value_is_kept(self, shelf: Shelf) -> None:
        large = Raw(b'"' + b"x" * 5_000_000 + b'"')
        await shelf.put("s", "k", large)
        assert await shelf.get("s", "k") == large

    @pytest.mark.parametrize("name", ODD_KEYS)
    async def test_any_text_can_name_a_store_or_a_key(self, shelf: Shelf, name: str) -> None:
        await shelf.put(name, "k", ONE)
        await shelf.put("s", name, TWO)
        assert await shelf.items(name) == {"k": ONE}
        assert await shelf.items("s") == {name: TWO}

    async def test_stores_and_keys_do_not_touch_each_other(self, shelf: Shelf) -> None:
        places = [(s, k) for s in ("", "a", "A", "a ", "ab") for k in ("", "b", "B", "b\x00")]
        for n, (store, key) in enumerate(places):
            await shelf.put(store, key, Raw(str(n).encode()))
        assert [await shelf.get(*place) for place in places] == [Raw(str(n).encode()) for n in range(20)]
        await shelf.delete("a", "b")
        assert set(await shelf.items("a")) == {"", "B", "b\x00"}
        assert len(await shelf.items("A")) == 4

    async def test_items_come_by_key(self, shelf: Shelf) -> None:
        for key in ("b", "é", "a", "B", "\U0001f680", "a1"):
            await shelf.put("s", key, ONE)
        assert list(await shelf.items("s")) == ["B", "a", "a1", "b", "é", "\U0001f680"]

    async def test_what_is_deleted_is_gone_and_can_be_put_again(self, shelf: Shelf) -> None:
        await shelf.delete("s", "k")
        await shelf.put("s", "k", ONE)
        await shelf.delete("s", "k")
        assert await shelf.get("s", "k") is None
        assert await shelf.items("s") == {}
        assert await shelf.put_new("s", "k", TWO) == TWO
        assert await shelf.get("s", "k") == TWO

    async def test_a_new_value_is_put_only_where_none_is(self, shelf: Shelf) -> None:
        assert await shelf.put_new("s", "k", ONE) == ONE
        assert await shelf.put_new("s", "k", TWO) == ONE
        assert await shelf.get("s", "k") == ONE
        await shelf.put("s", "null", Raw(b"null"))
        assert await shelf.put_new("s", "null", ONE) == Raw(b"null")

    async def test_of_concurrent_new_values_one_is_put_and_all_learn_of_it(self, shelf: Shelf) -> None:
        values = [Raw(str(n).encode()) for n in range(20)]
        answers = await asyncio.gather(*(shelf.put_new("s", "k", value) for value in values))
        there = await shelf.get("s", "k")
        assert there in values
        assert answers == [there] * 20

    async def test_a_number_counts_from_nothing(self, shelf: Shelf) -> None:
        assert [await shelf.incr("s", "k", by) for by in (1, 5, -10, 0)] == [1, 6, -4, -4]
        assert await shelf.get("s", "k") == Raw(b"-4")
        await shelf.put("s", "k", Raw(b" 41 "))
        assert await shelf.incr("s", "k", 1) == 42

    async def test_no_increment_is_lost_and_every_answer_is_another(self, shelf: Shelf) -> None:
        answers = await asyncio.gather(*(shelf.incr("s", f"k{n % 2}", 1) for n in range(400)))
        assert sorted(answers) == sorted([*range(1, 201), *range(1, 201)])
        assert await shelf.items("s") == {"k0": Raw(b"200"), "k1": Raw(b"200")}

    async def test_increments_begun_one_after_another_are_all_counted(self, shelf: Shelf) -> None:
        async def count() -> None:
            for _ in range(30):
                await shelf.incr("s", "k", 1)

        await asyncio.gather(*(count() for _ in range(5)))
        assert await shelf.get("s", "k") == Raw(b"150")

    async def test_what_is_asked_for_at_once_happens_in_that_order(self, shelf: Shelf) -> None:
        answers = await asyncio.gather(
            shelf.put("s", "k", Raw(b"5")),
            shelf.incr("s", "k", 2),
            shelf.put_new("s", "k", ONE),
            shelf.delete("s", "k"),
            shelf.put_new("s", "k", TWO),
        )
        assert list(answers) == [None, 7, Raw(b"7"), None, TWO]
        assert await shelf.get("s", "k") == TWO

    @pytest.mark.parametrize("value", [b'"1"', b"1.0", b"1e3", b"null", b"true", b"[]", b"{}", b"1.5"])
    async def test_what_is_no_whole_number_is_not_counted_on(self, shelf: Shelf, value: bytes) -> None:
        await shelf.put("s", "k", Raw(value))
        answers = await asyncio.gather(
            shelf.incr("s", "other", 1), shelf.incr("s", "k", 1), return_exceptions=True
        )
        assert answers[0] == 1
        assert isinstance(answers[1], InvalidInput)
        assert answers[1].field == "value"
        assert await shelf.get("s", "k") == Raw(value)

    @pytest.mark.parametrize(
        ("there", "by"), [(MOST, 1), (-MOST - 1, -1), (0, 2**63), (2**70, -1), (0, 2**70)]
    )
    async def test_a_number_that_would_not_fit_is_refused(self, shelf: Shelf, there: int, by: int) -> None:
        await shelf.put("s", "k", Raw(str(there).encode()))
        with pytest.raises(InvalidInput) as caught:
            await shelf.incr("s", "k", by)
        assert caught.value.field == "by"
        assert await shelf.get("s", "k") == Raw(str(there).encode())
        await shelf.put("s", "k", Raw(b"0"))
        assert await shelf.incr("s", "k", MOST) == MOST

    async def test_a_name_that_cannot_be_written_is_refused_and_harms_nobody(self, shelf: Shelf) -> None:
        for store, key in (("\ud800", "k"), ("s", "\ud800")):
            with pytest.raises(InvalidInput):
                await shelf.get(store, key)
            answers = await asyncio.gather(
                shelf.put("s", "k", ONE),
                shelf.put(store, key, ONE),
                shelf.put_new(store, key, ONE),
                shelf.incr(store, key, 1),
                shelf.delete(store, key),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers] == [type(None), *[InvalidInput] * 4]
        with pytest.raises(InvalidInput):
            await shelf.items("\ud800")
        assert await shelf.items("s") == {"k": ONE}

    async def test_what_was_handed_in_can_be_changed_afterwards(self, shelf: Shelf) -> None:
        buffer = bytearray(b"[1]")
        await shelf.put("s", "k", Raw(buffer))
        buffer[1:2] = b"9"
        assert await shelf.get("s", "k") == Raw(b"[1]")


class ValueSurvivalContract:
    """Values in the next process."""

    async def test_what_was_put_survives_the_process(self, shelf: Shelf, restart: Restart) -> None:
        for name, value in ODD.items():
            await shelf.put("odd", name, Raw(value))
        await shelf.put("s", "gone", ONE)
        await asyncio.gather(*(shelf.incr("s", "n", 1) for _ in range(50)))
        await shelf.put_new("s", "new", TWO)
        await shelf.delete("s", "gone")
        shelf = await restart()
        assert {key: bytes(value) for key, value in (await shelf.items("odd")).items()} == ODD
        assert await shelf.items("s") == {"n": Raw(b"50"), "new": TWO}
        assert await shelf.incr("s", "n", 1) == 51
