"""Whoever asks may stop waiting at any moment: a node that is stopped, a worker that hangs up."""

import asyncio
from typing import Final

from avtomatika.ports.store import Store
from avtomatika.testing.contract.values import a_message, at, grab, names, send

MOMENTS: Final = (*range(12), 20, 50, 100)
"""After how many turns of the loop somebody stops waiting."""


class HangingUpContract:
    """Nothing is kept for somebody who is not there any more."""

    async def test_what_is_leased_to_somebody_who_waits_no_more_is_there_for_the_next(
        self, store: Store
    ) -> None:
        for turns in MOMENTS:
            await send(store, a_message("m1"), a_message("m2"))
            asking = asyncio.ensure_future(grab(store, owner="gone"))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            (answer,) = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(answer, asyncio.CancelledError):
                leases = await grab(store, now=at(1))
                assert sorted(names(leases)) == ["m1", "m2"], turns
                assert [lease.delivery for lease in leases] == [1, 1]
