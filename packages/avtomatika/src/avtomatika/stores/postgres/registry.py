"""Documents in PostgreSQL, in a table that a crash of the server may empty."""

from collections.abc import Sequence

import msgspec

from avtomatika.kernel.time import Instant
from avtomatika.ports.registry import Doc
from avtomatika.stores.postgres.driver import Row
from avtomatika.stores.postgres.pool import Pool
from avtomatika.stores.postgres.rows import key as k
from avtomatika.stores.postgres.rows import moment, text

_COLUMNS = "kind, key, body, expires_at, version"
_PUT = (
    "INSERT INTO doc AS d (kind, key, body, expires_at, version)"
    " VALUES ($1, $2, $3, $4, nextval('doc_version'))"
    " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, expires_at = excluded.expires_at,"
    " version = nextval('doc_version')"
)
_REPLACE = (
    "UPDATE doc SET body = $3, expires_at = $4, version = nextval('doc_version')"
    " WHERE kind = $1 AND key = $2 AND version = $5 AND expires_at > $6 RETURNING version"
)
_TAKE = f"DELETE FROM doc WHERE kind = $1 AND key = $2 AND expires_at > $3 RETURNING {_COLUMNS}"  # noqa: S608 - constants only


class PostgresRegistry:
    """One statement for every verb."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        statement = f"SELECT {_COLUMNS} FROM doc WHERE kind = $1 AND key = $2 AND expires_at > $3"  # noqa: S608 - constants only
        return _doc(await self._pool.fetchrow(statement, k(kind), k(key), moment(now)))

    async def put(self, doc: Doc) -> Doc:
        version = await self._pool.fetchval(f"{_PUT} RETURNING version", *_values(doc))
        return msgspec.structs.replace(doc, version=version)

    async def replace(self, doc: Doc, *, expected: int, now: Instant) -> bool:
        if expected:
            row = await self._pool.once(_REPLACE, *_values(doc), expected, moment(now))
        else:
            statement = f"{_PUT} WHERE d.expires_at <= $5 RETURNING version"
            row = await self._pool.once(statement, *_values(doc), moment(now))
        return row is not None

    async def take(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        return _doc(await self._pool.once(_TAKE, k(kind), k(key), moment(now)))

    async def delete(self, kind: str, key: str) -> None:
        await self._pool.fetchrow("DELETE FROM doc WHERE kind = $1 AND key = $2", k(kind), k(key))

    async def scan(self, kind: str, *, now: Instant) -> Sequence[Doc]:
        statement = f"SELECT {_COLUMNS} FROM doc WHERE kind = $1 AND expires_at > $2 ORDER BY key"  # noqa: S608 - constants only
        rows = await self._pool.fetch(statement, k(kind), moment(now))
        return [doc for row in rows if (doc := _doc(row)) is not None]

    async def sweep(self, *, now: Instant) -> None:
        await self._pool.fetchrow("DELETE FROM doc WHERE expires_at <= $1", moment(now))


def _values(doc: Doc) -> tuple[bytes, bytes, bytes, int]:
    return k(doc.kind), k(doc.key), bytes(doc.body), moment(doc.expires_at)


def _doc(row: Row | None) -> Doc | None:
    if row is None:
        return None
    expires_at = Instant(row["expires_at"])
    return Doc(text(row["kind"]), text(row["key"]), row["body"], expires_at, row["version"])
