"""The storage as a worker uses it: inputs come from it, and outputs go to it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from avtomatika_worker.files.inputs import Input, inputs_of
from avtomatika_worker.files.outputs import Output, marks_of, outputs_of
from avtomatika_worker.files.remote_folder import RemoteFolder
from avtomatika_worker.files.transfer_progress import told_progress
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.teller import Tell
from avtomatika_worker.task_files import TaskFiles, plain_name
from rxon.attachments import SCHEME
from rxon.messages import FileMetadata, TaskOffer
from rxon.storage import ObjectStorage, UnsafeKey
from rxon.storage.contents import for_each
from rxon.storage.keys import safe_key

__all__ = ["Depot"]

T = TypeVar("T")
_ADDRESS = f"{SCHEME}:".encode()
_AT_ONCE = 8  # inputs or outputs of a task; how many files that are is bounded by the storage


class Depot:
    """Exchanges addresses for files before a handler runs, and files for addresses afterwards.

    What is stored is in ``bucket``, below ``jobs/<job_id>/<task_id>/``.
    """

    def __init__(self, storage: ObjectStorage, bucket: str, files_root: Path) -> None:
        self._storage = storage
        self._bucket = bucket
        self._marks = marks_of(files_root)

    def is_wanted_for(self, offer: TaskOffer) -> bool:
        """Whether the parameters may have addresses; quick, and no only where there are none."""
        return _ADDRESS in bytes(offer.params)

    def is_wanted_after(self, outcome: Outcome) -> bool:
        """Whether the data may have paths of files; quick, and no only where there are none."""
        return outcome.data is not None and any(mark in bytes(outcome.data) for mark in self._marks)

    def place_of(self, offer: TaskOffer, tell: Tell) -> RemoteFolder:
        """Where the files of the task are stored; ``tell`` hears of long transfers."""
        prefix = f"jobs/{_step(offer.job_id)}/{_step(offer.task_id)}/"
        return RemoteFolder(self._storage, self._bucket, prefix, partial(told_progress, tell))

    async def fetched(self, offer: TaskOffer, params: Any, files: TaskFiles) -> Any:
        """``params`` with the paths of complete local copies where addresses of files and folders were.

        Raises InvalidInputError for what is no address or not there, IntegrityMismatchError for what is
        not as the task describes it, and TransientError when the storage cannot be reached.
        """
        holder = {"": params}
        inputs = inputs_of(holder, offer.params_metadata or {}, files.root)
        if not inputs:
            return params
        await files.get_root()

        async def fetch(wanted: Input) -> None:
            """One input is here, and everything that names it names its path."""
            where = f"Parameter '{wanted.spots[0].path}'"
            await files.remote.fetch(wanted.uri, wanted.path, wanted.expected, where)
            for spot in wanted.spots:
                spot.put(str(wanted.path))

        await for_each(_each(inputs), fetch, _AT_ONCE)
        return holder[""]

    async def stored(self, outcome: Outcome, files: TaskFiles) -> Outcome:
        """The outcome with addresses where its data had paths of the task's files, and their descriptions.

        Raises TransientError when the storage cannot be reached.
        """
        if outcome.data is None:
            return outcome
        holder: dict[str, Any] = {"": msgspec.json.decode(outcome.data)}
        outputs = await asyncio.to_thread(outputs_of, holder, files.root)
        described: dict[str, FileMetadata] = {}

        async def store(given: Output) -> None:
            """One output is in the storage, and everything that names it names its address."""
            metadata = await files.remote.store(given.path, given.name)
            for spot in given.spots:
                spot.put(metadata.uri)
                described[spot.path] = metadata

        await for_each(_each(outputs), store, _AT_ONCE)
        if not described:
            return outcome
        data = msgspec.Raw(msgspec.json.encode(holder[""]))
        return msgspec.structs.replace(outcome, data=data, data_metadata=described)


async def _each(items: Sequence[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


def _step(identifier: str) -> str:
    """The identifier as one step of a key: itself wherever possible, as others look for it there."""
    try:
        return safe_key(identifier) if "/" not in identifier else plain_name(identifier)
    except UnsafeKey:
        return plain_name(identifier)
