"""Documents are there until they expire, and of those who want one alone, one has it."""

import asyncio

import msgspec

from avtomatika.ports.registry import Doc, Registry
from avtomatika.testing.contract.values import T0, at

KIND = "kind"


def a_doc(key: str = "k", body: bytes = b'{"n": 1}', expires: int = 10, kind: str = KIND) -> Doc:
    """A document that is there for a while."""
    return Doc(kind, key, body, at(expires))


class DocumentContract:
    """Tests of a `registry`."""

    async def test_what_was_put_is_there_until_it_expires(self, registry: Registry) -> None:
        assert await registry.get(KIND, "k", now=T0) is None
        kept = await registry.put(a_doc())
        assert kept.version >= 1
        assert msgspec.structs.replace(kept, version=0) == a_doc()
        assert await registry.get(KIND, "k", now=at(9)) == kept
        assert await registry.get(KIND, "k", now=at(10)) is None
        assert await registry.get("other", "k", now=T0) is None

    async def test_bodies_and_names_are_any_bytes_and_any_text(self, registry: Registry) -> None:
        body = bytes(range(256))
        for key in ("a:b", "ü{}*\n", "", "k" * 1_000):
            await registry.put(a_doc(key, body))
            found = await registry.get(KIND, key, now=T0)
            assert found is not None
            assert (found.key, found.body) == (key, body)

    async def test_every_write_has_a_higher_version(self, registry: Registry) -> None:
        first = await registry.put(a_doc())
        second = await registry.put(a_doc(body=b"2"))
        await registry.delete(KIND, "k")
        third = await registry.put(a_doc(expires=1))
        assert await registry.get(KIND, "k", now=at(1)) is None
        fourth = await registry.put(a_doc())
        await registry.sweep(now=at(99))
        fifth = await registry.put(a_doc(expires=200))
        versions = [doc.version for doc in (first, second, third, fourth, fifth)]
        assert versions == sorted(set(versions))

    async def test_what_is_deleted_is_not_there(self, registry: Registry) -> None:
        await registry.put(a_doc())
        await registry.put(a_doc("other"))
        await registry.delete(KIND, "k")
        await registry.delete(KIND, "nothing")
        assert await registry.get(KIND, "k", now=T0) is None
        assert [doc.key for doc in await registry.scan(KIND, now=T0)] == ["other"]

    async def test_a_scan_has_what_has_not_expired_by_key(self, registry: Registry) -> None:
        kept = [await registry.put(a_doc(key, expires=20)) for key in ("b", "a", "c")]
        await registry.put(a_doc("gone", expires=5))
        await registry.put(a_doc("else", kind="other"))
        assert list(await registry.scan(KIND, now=at(5))) == [kept[1], kept[0], kept[2]]
        assert list(await registry.scan("none", now=T0)) == []

    async def test_a_sweep_leaves_what_has_not_expired(self, registry: Registry) -> None:
        kept = await registry.put(a_doc("kept", expires=20))
        await registry.put(a_doc("gone", expires=10))
        await registry.sweep(now=at(10))
        assert await registry.get(KIND, "kept", now=at(10)) == kept
        assert await registry.get(KIND, "gone", now=T0) is None

    async def test_a_document_is_replaced_only_in_the_version_that_is_expected(
        self, registry: Registry
    ) -> None:
        assert await registry.replace(a_doc(), expected=0, now=T0)
        assert not await registry.replace(a_doc(body=b"2"), expected=0, now=T0)
        found = await registry.get(KIND, "k", now=T0)
        assert found is not None
        assert found.body == a_doc().body
        assert not await registry.replace(a_doc(body=b"2"), expected=found.version + 1, now=T0)
        assert await registry.replace(a_doc(body=b"2"), expected=found.version, now=T0)
        assert not await registry.replace(a_doc(body=b"3"), expected=found.version, now=T0)
        assert await registry.replace(a_doc(body=b"4", expires=30), expected=0, now=at(10)), "it has expired"

    async def test_of_many_who_replace_at_once_one_does(self, registry: Registry) -> None:
        done = await asyncio.gather(
            *(registry.replace(a_doc(body=b"%d" % n), expected=0, now=T0) for n in range(20))
        )
        assert sum(done) == 1
        found = await registry.get(KIND, "k", now=T0)
        assert found is not None
        assert found.body == b"%d" % done.index(True)

    async def test_of_many_who_take_at_once_one_has_it(self, registry: Registry) -> None:
        kept = await registry.put(a_doc())
        taken = await asyncio.gather(*(registry.take(KIND, "k", now=T0) for _ in range(20)))
        assert [doc for doc in taken if doc is not None] == [kept]
        assert await registry.get(KIND, "k", now=T0) is None

    async def test_what_has_expired_cannot_be_taken(self, registry: Registry) -> None:
        await registry.put(a_doc(expires=10))
        assert await registry.take(KIND, "k", now=at(10)) is None
