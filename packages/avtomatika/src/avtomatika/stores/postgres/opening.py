"""How a store in PostgreSQL is opened: the schema, what the server promises, and a name for the node."""

from collections.abc import Callable, Sequence
from typing import Final

from avtomatika.errors import ConfigError
from avtomatika.kernel.time import Instant
from avtomatika.ports.durability import Durability
from avtomatika.stores.postgres import migrations, statements
from avtomatika.stores.postgres.driver import TROUBLE, Connection, connect, is_refused, refusal
from avtomatika.stores.postgres.pool import CLOSE_S, Pool
from avtomatika.stores.postgres.registry import PostgresRegistry
from avtomatika.stores.postgres.store import PostgresStore

LONGEST_NAME: Final = 63

_WAIT_FOR_STANDBYS: Final = frozenset({"on", "remote_write", "remote_apply"})


async def open_postgres(
    url: str,
    schema: str,
    *,
    now: Callable[[], Instant],
    tokens: Callable[[], str],
    steps: Sequence[migrations.Step] | None = None,
) -> tuple[PostgresStore, PostgresRegistry]:
    """The store and the registry in *schema* of the database at *url*, ready.

    Raises ConfigError, and Unavailable when there is nobody.
    """
    if len(schema) > LONGEST_NAME:
        raise ConfigError(f"STORAGE_PREFIX: PostgreSQL takes no more than {LONGEST_NAME} characters.")
    try:
        connection = await connect(url, schema, patient=True)
        try:
            await migrations.prepare(connection, schema, steps or migrations.steps())
            durability = await promised(connection)
            number = await connection.fetchval(statements.JOIN)
        finally:
            await connection.close(timeout=CLOSE_S)
    except TROUBLE as error:
        if is_refused(error):
            raise ConfigError(f"STORAGE_URL: PostgreSQL refuses: {error}") from None
        raise refusal(error) from error
    pool = Pool(url, schema)
    store = PostgresStore(pool, durability, f"{tokens()}.{number}", now=now, tokens=tokens)
    store.hearing.start()
    return store, PostgresRegistry(pool)


async def promised(connection: Connection) -> Durability:
    """What the settings of the server, and of its user, promise about what is accepted."""
    fsync = await connection.fetchval("SHOW fsync")
    waits = await connection.fetchval("SHOW synchronous_commit")
    standbys = standbys_waited_for(await connection.fetchval("SHOW synchronous_standby_names"))
    safe = fsync == "on" and waits != "off"
    return Durability(
        backend="postgres",
        fsync="always" if safe else "none",
        accepted_loss_window_s=0.0 if safe else None,
        replicated=standbys if waits in _WAIT_FOR_STANDBYS else 0,
    )


def standbys_waited_for(names: str) -> int:
    """How many standbys a commit waits for, by the setting `synchronous_standby_names`."""
    words = names.replace("(", " ( ").split()
    if not words:
        return 0
    if words[0].upper() in {"FIRST", "ANY"} and len(words) > 1 and words[1].isdecimal():
        return int(words[1])
    return int(words[0]) if words[0].isdecimal() and words[1:2] == ["("] else 1
