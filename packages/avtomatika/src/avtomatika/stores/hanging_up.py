"""Leases that were granted while who had asked for them stopped waiting."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from avtomatika.errors import AvtomatikaError
from avtomatika.kernel.time import Instant
from avtomatika.ports.message import Lease, unspent
from avtomatika.ports.store import Commit, Store


async def granted(
    store: Store, asking: Coroutine[Any, Any, Sequence[Lease]], now: Instant
) -> Sequence[Lease]:
    """What *asking* brings. When nobody waits for it any more, it has been given back."""
    answer = asyncio.ensure_future(asking)  # it goes on when the caller does not
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        with suppress(AvtomatikaError):  # then it runs out
            leases = await answer
            if leases:
                await store.commit(Commit(now=now, ack=tuple(leases), take=tuple(map(unspent, leases))))
        raise
