"""What must be true of the documents that nodes share: profiles of workers, and their mail."""

import msgspec

from avtomatika.commands import mailbox, presence
from avtomatika.kernel.time import Instant
from avtomatika.matching.compliance import WorkerProfile
from avtomatika.ports.registry import Doc
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.testing.violations import Violated
from rxon.messages import WorkerCommand


class Documents:
    """Judges what is written into the registry, and the commands that nodes give to workers."""

    def __init__(self, violated: Violated) -> None:
        self._violated = violated
        self._given: set[str] = set()

    def written(self, before: Doc, doc: Doc) -> None:
        """The document took the place of the one before."""
        if doc.kind == presence.KIND:
            self._presented(_profile(before), _profile(doc))
        elif doc.kind == mailbox.KIND:
            sent = _ids(doc)
            if len(sent) < mailbox.MOST and not _ids(before) <= sent:
                self._violated("no command is lost to another one", (doc.key, _ids(before), sent))

    def _presented(self, before: WorkerProfile, profile: WorkerProfile) -> None:
        if profile.revision < before.revision:
            self._violated("the revisions of a worker grow, whichever node gives them", (before, profile))
        elif profile.revision == before.revision and profile != before:
            self._violated("one revision is one profile", (before, profile))

    def given(self, worker: str, command: WorkerCommand) -> None:
        """A node has answered a worker with the command."""
        if str(command.id) in self._given:
            self._violated("no command is given out twice", (worker, command.id))
        self._given.add(str(command.id))


class WatchedRegistry(MemoryRegistry):
    """The registry that all nodes of a world share: it stands for a server that all of them reach."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents

    async def put(self, doc: Doc) -> Doc:
        before = self._docs.get((doc.kind, doc.key))
        if before is not None:
            self._documents.written(before, doc)
        return await super().put(doc)

    async def get(self, kind: str, key: str, *, now: Instant) -> Doc | None:
        found = self._docs.get((kind, key))
        # A node whose clock is ahead sees it expired, and leaves it to those whose clock is not.
        return None if found is None or found.expires_at <= now else found


def _profile(doc: Doc) -> WorkerProfile:
    return msgspec.json.decode(doc.body, type=presence.Worker).profile


def _ids(doc: Doc) -> frozenset[str]:
    commands = msgspec.json.decode(doc.body, type=tuple[WorkerCommand, ...])
    return frozenset(str(command.id) for command in commands)
