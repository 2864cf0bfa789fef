"""What handlers find under `task_files`: the files of their job (feature G1)."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from avtomatika.blueprints.encoding import decoded, encoded
from avtomatika.blueprints.file_names import checked, key_in, key_of, prefix_of
from avtomatika.blueprints.home_loop import HomeLoop
from avtomatika.blueprints.local_copies import LocalCopies
from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId
from avtomatika.ports.blobs import Blobs, FileMetadata

LONGEST_URL: Final = 7 * 86_400
METHODS: Final = ("GET", "PUT")

Link = Callable[[str, JobId, str, int], Awaitable[str]]
"""A URL with which anybody may use the method on the file of the job, for so many seconds."""


class FilePlace(msgspec.Struct, frozen=True):
    """Where files are kept, where copies of them are, and who has to hear that a job has some."""

    blobs: Blobs
    local: Path
    link: Link
    noted: Callable[[JobId], Awaitable[None]]


class TaskFiles:
    """Files of one job: stored ones, and copies on this machine that a handler can work on.

    Names may have slashes in them; none leads out of the job: InvalidInput. In a coroutine every method but
    `path` is awaited. In a handler that is none, and so runs in a thread, the same methods return when it
    is done. What is not there raises FileNotFoundError, and any of them may raise Unavailable.
    """

    def __init__(self, place: FilePlace, job: JobId) -> None:
        self._place, self._blobs, self._job = place, place.blobs, job
        self._home = HomeLoop()
        self._used = self._noted = False

    @cached_property
    def _copies(self) -> LocalCopies:
        return LocalCopies(self._place.local, self._job)

    def path(self, filename: str) -> Path:
        """Where the file is on this machine, or will be; its folder is there. A URI means its last step."""
        self._used = True
        return self._copies.path(_local_name(filename))

    def download(
        self,
        name_or_uri: str,
        local_name: str | None = None,
        verify_meta: FileMetadata | Mapping[str, Any] | None = None,
    ) -> Any:
        """The path of a fresh copy of the file; of the whole folder when the name ends with a slash.

        Raises IntegrityError when it is not as *verify_meta* says: `size`, `etag`, and under `metadata` the
        digest `sha256`. URIs may also be those of jobs that started this one, or were started by it.
        """
        return self._home.done(self._download(name_or_uri, local_name, _metadata(verify_meta)))

    def upload(self, local_name: str, remote_name: str | None = None) -> Any:
        """The URI of the file, or of the folder with all that is in it, which is stored now."""
        return self._home.done(self._upload(local_name, remote_name))

    def upload_stream(self, filename: str, stream: AsyncIterable[bytes] | Iterable[bytes] | bytes) -> Any:
        """The URI of the file, which holds what *stream* gave. It appears when it is complete."""
        return self._home.done(self._upload_stream(filename, stream))

    def read_text(self, filename: str, encoding: str = "utf-8") -> Any:
        """The text of the stored file, or of the copy here if it was made from that or after it."""
        return self._home.done(self._read_text(filename, encoding))

    def read_json(self, filename: str) -> Any:
        """The value of the JSON text that `read_text` finds."""
        return self._home.done(self._read_json(filename))

    def write_text(self, filename: str, text: str, encoding: str = "utf-8") -> Any:
        """The path of the file on this machine that holds the text. `upload` stores it."""
        return self._home.done(self._write(filename, text.encode(encoding)))

    def write_json(self, filename: str, data: Any, upload: bool = True) -> Any:
        """The URI of the file that holds *data* as JSON; without *upload* it is on this machine only."""
        return self._home.done(self._write_json(filename, data, upload))

    def generate_presigned_url(self, filename: str, method: str = "GET", expires_in: int = 3600) -> Any:
        """A URL with which anybody may read the file, or with `PUT` write it, for so many seconds."""
        return self._home.done(self._url(filename, method, expires_in))

    def cleanup(self) -> Any:
        """No file of the job is left, neither stored nor here."""
        return self._home.done(self._cleanup())

    async def settle(self) -> None:
        """Whoever removes files knows that the job may have some. To be called after the handler."""
        if self._used:
            await self._note()

    async def _note(self) -> None:
        if not self._noted:
            await self._place.noted(self._job)
            self._noted = True

    async def _download(self, name: str, local_name: str | None, expected: FileMetadata | None) -> Path:
        key = key_in(self._job, name, self._blobs.bucket)
        local = _local_name(name) if local_name is None else checked(local_name)
        await self._note()
        return await self._fetch(key, local, expected)

    async def _fetch(self, key: str, local: str, expected: FileMetadata | None = None) -> Path:
        target = await asyncio.to_thread(self._copies.path, local)
        if await self._blobs.metadata(key) is None:
            raise FileNotFoundError(f"There is no stored file {key.removeprefix(prefix_of(self._job))!r}.")
        found = await self._blobs.download(key, target, expected)
        if not key.endswith("/"):
            await asyncio.to_thread(self._copies.stems_from, local, found.etag)
        return target

    async def _upload(self, local_name: str, remote_name: str | None) -> str:
        local = checked(local_name.removesuffix("/"))
        source = await asyncio.to_thread(self._copies.path, local)
        folder = "/" if await asyncio.to_thread(source.is_dir) else ""
        key = key_of(self._job, (remote_name or local).removesuffix("/") + folder)
        await self._note()
        if not await asyncio.to_thread(source.exists):
            raise FileNotFoundError(f"There is no file {local!r} here to upload.")
        stored = await self._blobs.upload(source, key)
        if not folder:
            same = key == key_of(self._job, local)
            await asyncio.to_thread(self._copies.stems_from, local, stored.etag if same else None)
        return self._blobs.uri(key)

    async def _upload_stream(
        self, filename: str, stream: AsyncIterable[bytes] | Iterable[bytes] | bytes
    ) -> str:
        key = key_of(self._job, checked(filename))
        await self._note()
        await self._blobs.upload_stream(_chunks(stream), key)
        return self._blobs.uri(key)

    async def _current(self, filename: str) -> Path:
        """The path of the copy here, made anew unless it is as new as what is stored."""
        name = checked(filename)
        key = key_of(self._job, name)
        stored = await self._blobs.metadata(key)
        path = await asyncio.to_thread(self._copies.path, name)
        if stored is None or await asyncio.to_thread(self._copies.is_of, name, stored.etag):
            return path
        return await self._fetch(key, name)

    async def _read_text(self, filename: str, encoding: str) -> str:
        self._used = True
        path = await self._current(filename)
        return await asyncio.to_thread(path.read_text, encoding)

    async def _read_json(self, filename: str) -> Any:
        self._used = True
        path = await self._current(filename)
        return decoded(msgspec.Raw(await asyncio.to_thread(path.read_bytes)))

    async def _write(self, filename: str, content: bytes) -> Path:
        name = checked(filename)
        await self._note()
        stored = await self._blobs.metadata(key_of(self._job, name))
        return await asyncio.to_thread(
            self._copies.write, name, content, None if stored is None else stored.etag
        )

    async def _write_json(self, filename: str, data: Any, upload: bool) -> str:
        path = await self._write(filename, bytes(encoded(f"The content of {filename!r}", data)))
        return await self._upload(filename, None) if upload else path.as_uri()

    async def _url(self, filename: str, method: str, expires_in: int) -> str:
        if method not in METHODS or not 1 <= expires_in <= LONGEST_URL:
            raise InvalidInput(
                f"A URL is for GET or PUT, and for 1 to {LONGEST_URL} seconds.", field="method"
            )
        await self._note()
        return await self._place.link(method, self._job, checked(filename), expires_in)

    async def _cleanup(self) -> None:
        await self._blobs.delete(prefix_of(self._job))
        await asyncio.to_thread(self._copies.remove)


def _local_name(name_or_uri: str) -> str:
    name = name_or_uri.removesuffix("/")
    return checked(name.rpartition("/")[2] if "://" in name else name)


def _metadata(given: FileMetadata | Mapping[str, Any] | None) -> FileMetadata | None:
    if given is None or isinstance(given, FileMetadata):
        return given
    try:
        return msgspec.convert({"uri": "", **given}, FileMetadata)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"verify_meta: {error}", field="verify_meta") from error


async def _chunks(stream: AsyncIterable[bytes] | Iterable[bytes] | bytes) -> AsyncIterator[bytes]:
    if isinstance(stream, bytes):
        yield stream
    elif isinstance(stream, AsyncIterable):
        async for chunk in stream:
            yield chunk
    else:
        pieces = iter(stream)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
