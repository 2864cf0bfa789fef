"""Asks two stores the same and compares the answers: each draws tokens and cursors of its own."""

from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from avtomatika.errors import AvtomatikaError
from avtomatika.ports.store import Commit, JobQuery, KeyTaken, Lease, Page, Store, Token


class Refusal(msgspec.Struct, frozen=True):
    """How a call was refused, and by what claim if by one."""

    code: str
    claim: object = None


class Call(msgspec.Struct, frozen=True):
    """What is asked of a store, or of its shelf."""

    verb: str
    arguments: Mapping[str, Any]
    shelf: bool = False

    def of(self, store: Store) -> Awaitable[Any]:
        """The call of this store."""
        verb = getattr(store.shelf if self.shelf else store, self.verb)
        answer: Awaitable[Any] = verb(**self.arguments)
        return answer


def refusal_of(error: AvtomatikaError) -> Refusal:
    """The error, to be compared."""
    return Refusal(error.code, error.claim if isinstance(error, KeyTaken) else None)


def kept(answer: Any) -> Any:
    """The answer, where nothing changes it any more; of sequences it does not matter which kind they are."""
    if isinstance(answer, Mapping):
        return dict(answer)
    return list(answer) if isinstance(answer, list | tuple) else answer


async def answer(call: Awaitable[object]) -> Any:
    """What the call returned, or how it was refused."""
    try:
        return kept(await call)
    except AvtomatikaError as error:
        return refusal_of(error)


class Translation:
    """What the tokens and cursors of one store are called in another."""

    def __init__(self) -> None:
        self._tokens: dict[Token, Token] = {}
        self._cursors: dict[str, str] = {}

    def there(self, call: Call) -> Call:
        """The call in the words of the other store."""
        given = {name: self._there(value) for name, value in call.arguments.items()}
        return msgspec.structs.replace(call, arguments=given)

    def _there(self, value: Any) -> Any:
        match value:
            case Commit(ack=ack, take=take):
                known = {"ack": tuple(map(self._there, ack)), "take": tuple(map(self._there, take))}
                return msgspec.structs.replace(value, **known)
            case Lease(token=token):
                return msgspec.structs.replace(value, token=self._tokens.get(token, token))
            case JobQuery(after=str(after)):
                return msgspec.structs.replace(value, after=self._cursors.get(after, after))
            case _:
                return value

    def same(self, verb: str, expected: Any, answer: Any) -> bool:
        """Whether the answers of the two stores agree."""
        match expected, answer:
            case (Lease(), Lease()):
                return self._same_lease(expected, answer)
            case (list(), list()) if verb == "lease":
                return len(expected) == len(answer) and all(map(self._same_lease, expected, answer))
            case (Page(), Page()):
                return self._same_page(expected, answer)
            case (dict(), dict()) if verb == "queues":
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
