"""Asks a store what another one was asked, and compares what it answers."""

from collections.abc import Sequence
from typing import Any

import msgspec

from avtomatika.ports.store import Store
from tests.contract.comparing import Translation, answer
from tests.contract.traces.recording import Answered


class Difference(msgspec.Struct, frozen=True):
    """The first call that got another answer than the trace has."""

    number: int
    expected: Answered
    answer: Any

    def __str__(self) -> str:
        call = self.expected.call
        return (
            f"call {self.number}: {call.verb} {dict(call.arguments)}\n"
            f"  the trace: {self.expected.answer}\n  the store: {self.answer}"
        )


async def replay(trace: Sequence[Answered], store: Store) -> Difference | None:
    """The first difference, or None when the store has given all the answers of the trace."""
    translation = Translation()
    for number, expected in enumerate(trace):
        call = expected.call
        found = await answer(translation.there(call).of(store))
        if not translation.same(call.verb, expected.answer, found):
            return Difference(number, expected, found)
    return None
