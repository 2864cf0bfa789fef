"""Asks a store what another one was asked, and compares what it answers."""

from collections.abc import Sequence
from typing import Any

import msgspec

from avtomatika.errors import AvtomatikaError
from avtomatika.ports.store import Commit, JobQuery, Lease, Page, Store, Token
from tests.contract.traces.recording import Call, kept, refusal_of


class Difference(msgspec.Struct, frozen=True):
    """The first call that got another answer than the trace has."""

    number: int
    call: Call
    answer: object

    def __str__(self) -> str:
        return (
            f"call {self.number}: {self.call.verb} {dict(self.call.arguments)}\n"
            f"  the trace: {self.call.answer}\n  the store: {self.answer}"
        )


class Replay:
    """One store that goes through a trace: it draws tokens and cursors of its own, which stand for others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tokens: dict[Token, Token] = {}
        self._cursors: dict[str, str] = {}

    async def run(self, calls: Sequence[Call]) -> Difference | None:
        """The first difference, or None when there is none."""
        for number, call in enumerate(calls):
            answer = await self._ask(call)
            if not self._same(call, answer):
                return Difference(number, call, answer)
        return None

    async def _ask(self, call: Call) -> Any:
        verb = getattr(self._store.shelf if call.shelf else self._store, call.verb)
        given = {name: self._translated(value) for name, value in call.arguments.items()}
        try:
            return kept(await verb(**given))
        except AvtomatikaError as error:
            return refusal_of(error)

    def _translated(self, value: Any) -> Any:
        match value:
            case Commit(ack=ack, take=take):
                known = {"ack": tuple(map(self._translated, ack)), "take": tuple(map(self._translated, take))}
                return msgspec.structs.replace(value, **known)
            case Lease(token=token):
                return msgspec.structs.replace(value, token=self._tokens.get(token, token))
            case JobQuery(after=str(after)):
                return msgspec.structs.replace(value, after=self._cursors.get(after, after))
            case _:
                return value

    def _same(self, call: Call, answer: Any) -> bool:
        expected: Any = call.answer
        match expected, answer:
            case (Lease(), Lease()):
                return self._same_lease(expected, answer)
            case (list(), list()) if call.verb == "lease":
                return len(expected) == len(answer) and all(map(self._same_lease, expected, answer))
            case (Page(), Page()):
                return self._same_page(expected, answer)
            case (dict(), dict()) if call.verb == "queues":
                return expected.keys() == answer.keys() and all(
                    message.queue == queue for queue, message in answer.items()
                )
            case _:
                return bool(expected == answer)

    def _same_lease(self, expected: Lease, lease: Lease) -> bool:
        known = self._tokens.setdefault(expected.token, lease.token)
        return known == lease.token and msgspec.structs.replace(lease, token=expected.token) == expected

    def _same_page(self, expected: Page, page: Page) -> bool:
        if expected.next is not None and page.next is not None:
            self._cursors[expected.next] = page.next
        return expected.jobs == page.jobs and (expected.next is None) == (page.next is None)
