"""The servers of clients, to whom webhooks go: they fail, hang, and take what they are sent."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from avtomatika.commands.webhooks import DEAD, webhook_id
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.model import AwaitingHuman, Done, Job
from avtomatika.ports.store import Message, MessageId
from avtomatika.testing.violations import Violated

URL: Final = "https://client.example/news"
TRIES: Final = 5


class Sink:
    """What the servers got, and what they should get: news of every end and of every question."""

    def __init__(self, violated: Violated) -> None:
        self._violated = violated
        self.expected: dict[str, None] = {}
        self._bodies: dict[str, bytes] = {}
        self._names: dict[tuple[str, int, str], str] = {}
        self._taken: set[str] = set()
        self._refused: set[str] = set()

    # ------------------------------------------------------------ what jobs announce

    def moved(self, job: Job) -> None:
        """The job has moved: it may have news."""
        if job.webhook_url is None:
            return
        phase = job.phase
        if isinstance(phase, Done):
            self.expected[f"{job.id}:{job.version}:job_{phase.verdict}"] = None
        elif isinstance(phase, AwaitingHuman) and phase.since == job.version:
            self.expected[f"{job.id}:{job.version}:approval_requested"] = None

    def dealt_with(self, message: Message, left: Message | None) -> None:
        """A message with news is gone; *left* took its place."""
        news = message.body
        if not isinstance(news, SendWebhook) or message.queue == DEAD:
            return
        name = webhook_id(message.id)
        if left is None and name not in self._taken:
            self._violated("news are kept until they are taken", name)
        if left is not None and left.queue == DEAD and name not in self._refused and news.attempt < TRIES:
            self._violated("news that nobody refused are tried again", name)

    def missing(self, dead: set[MessageId]) -> list[str]:
        """News that were neither taken nor lie among the dead."""
        kept = {webhook_id(name) for name in dead}
        return [name for name in self.expected if name not in self._taken and name not in kept]

    # ------------------------------------------------------------ what comes

    def came(self, headers: Mapping[str, str], body: bytes) -> None:
        """A request has reached the server."""
        name = headers["webhook-id"]
        news = msgspec.json.decode(body, type=dict[str, Any])
        what = (news["job_id"], news["sequence"], news["event"])
        if self._names.setdefault(what, name) != name:
            self._violated("the same news have the same id", f"{what}: {self._names[what]} and {name}")
        if self._bodies.setdefault(name, body) != body:
            self._violated("the same id has the same body", name)
        if name not in self.expected:
            self._violated("only what happened is told", name)

    def took(self, headers: Mapping[str, str]) -> None:
        """The server has answered that it took the request."""
        self._taken.add(headers["webhook-id"])

    def refused(self, headers: Mapping[str, str]) -> None:
        """The server has answered that it never will."""
        self._refused.add(headers["webhook-id"])
