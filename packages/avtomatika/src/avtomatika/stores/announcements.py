"""What a commit tells those who wait, at its own node at once and at other nodes of a shared store."""

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from avtomatika.ports.store import Commit
from avtomatika.stores.hints import Hints, told_by

MOST_TOPICS: Final = 512
"""More than these at once are cut: hints may be lost, and a payload that is too large would be refused."""


class _Told(msgspec.Struct, frozen=True, array_like=True):
    by: str
    topics: dict[str, int]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Told)


class Announcements:
    """Gathers the topics that other nodes are to hear of, until the store sends them on."""

    def __init__(self, hints: Hints, sender: str) -> None:
        """*sender* is a name that no other process has."""
        self._hints, self._sender = hints, sender
        self._topics: dict[str, int] = {}

    def commit(self, commit: Commit, robbed: Iterable[str] = ()) -> None:
        """The commit has happened, and the messages that it withdrew were with those owners."""
        robbed = tuple(robbed)
        self._hints.announce_commit(commit, robbed)
        for topic, at in told_by(commit, robbed):
            self._topics[topic] = min(at, self._topics.get(topic, at))

    def topics(self, topics: Collection[str]) -> None:
        """Something happened to these."""
        self._hints.announce(topics)
        self._topics.update(dict.fromkeys(topics, 0))

    def payload(self) -> bytes | None:
        """What other nodes are to hear now, None for nothing. It is told once."""
        return next(iter(self.payloads(sys.maxsize)), None)

    def payloads(self, most_bytes: int) -> Sequence[bytes]:
        """The same in several parts, none of them larger than *most_bytes*."""
        topics = list(self._topics.items())[:MOST_TOPICS]
        self._topics = {}
        parts: list[bytes] = []
        while topics:
            count = len(topics)
            while (
                len(part := _ENCODER.encode(_Told(self._sender, dict(topics[:count])))) > most_bytes
                and count > 1
            ):
                count //= 2
            if len(part) <= most_bytes:  # a name that is too long for a part of its own is not told
                parts.append(part)
            topics = topics[count:]
        return parts

    def hear(self, payload: bytes) -> None:
        """Another node has sent *payload*; what is none, or our own, is nothing."""
        try:
            told = _DECODER.decode(payload)
        except msgspec.MsgspecError:
            return
        if told.by != self._sender:
            for topic, moment in told.topics.items():
                self._hints.announce((topic,), moment)
