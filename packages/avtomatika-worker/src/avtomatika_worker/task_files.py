"""A folder of its own for each task."""

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import msgspec

from avtomatika_worker.errors import PathError, PermanentError
from rxon.messages import FileMetadata

__all__ = ["OpenFile", "Remote", "TaskFiles", "plain_name", "task_folder"]

R = TypeVar("R")


def task_folder(root: Path, task_id: str) -> Path:
    """The folder of ``task_id`` directly under ``root``; different ids never share one."""
    return root / plain_name(task_id)


def plain_name(identifier: str) -> str:
    """A name of letters, digits, ``_`` and ``-``; different identifiers never share one."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", identifier)[:100]
    if plain and plain == identifier:
        return plain
    return f"{plain}-{hashlib.sha256(identifier.encode(errors='surrogatepass')).hexdigest()[:16]}"


class Remote(Protocol):
    """The place of a task in a storage. Both methods raise a HandlerError that says whether to try again."""

    async def store(self, source: Path, name: str) -> FileMetadata:
        """The file or folder ``source`` is stored as ``name``; "" is the place itself."""
        ...

    async def fetch(
        self, uri: str, target: Path, expected: FileMetadata | None = None, where: str = ""
    ) -> FileMetadata:
        """``target`` is the file, or the folder, at ``uri``, and checked against ``expected``."""
        ...


class OpenFile:
    """An open file whose methods run in a thread."""

    def __init__(self, file: IO[Any]) -> None:
        self._file = file

    async def read(self, size: int = -1) -> Any:
        """Up to ``size`` characters or bytes; everything that is left for -1."""
        return await asyncio.to_thread(self._file.read, size)

    async def readline(self) -> Any:
        """The next line with its end; empty at the end of the file."""
        return await asyncio.to_thread(self._file.readline)

    async def write(self, data: Any) -> int:
        """The data is written; how much it was is returned."""
        return await asyncio.to_thread(self._file.write, data)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """The position in the file is the one returned."""
        return await asyncio.to_thread(self._file.seek, offset, whence)

    async def flush(self) -> None:
        """What was written has been handed to the operating system."""
        await asyncio.to_thread(self._file.flush)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while line := await self.readline():
            yield line


class TaskFiles:
    """Files of one task, under ``root``. The folder is made when it is first needed.

    Names may contain subfolders. Each method raises PathError for a name that leads out of the
    folder, also through a symbolic link, and OSError as the file system does. No awaitable method
    blocks the event loop. What moves files needs a storage, ``remote``; it raises PermanentError
    without one, and otherwise the HandlerError that says whether another attempt makes sense.
    """

    def __init__(self, root: Path, remote: Remote | None = None) -> None:
        self._root = root
        self._remote = remote

    @property
    def root(self) -> Path:
        """Path of the folder, which may not exist yet."""
        return self._root

    @property
    def remote(self) -> Remote:
        """The place of the task in the storage. Raises PermanentError when there is no storage."""
        if self._remote is None:
            raise PermanentError("The worker has no storage: S3_ENDPOINT_URL is not set.")
        return self._remote

    async def get_root(self) -> str:
        """Path of the folder, which exists now."""
        return str(await asyncio.to_thread(self._made_root))

    async def path_to(self, name: str) -> str:
        """Absolute path for ``name``; the folder it lies in exists now."""
        return str(await asyncio.to_thread(self._path, name))

    def get_root_sync(self) -> str:
        """As ``get_root``, for handlers in threads."""
        return str(self._made_root())

    def path_to_sync(self, name: str) -> str:
        """As ``path_to``, for handlers in threads."""
        return str(self._path(name))

    async def read(self, name: str, mode: str = "r") -> Any:
        """The whole file: text, or bytes when ``mode`` has a ``b``."""
        return await self._with_file(name, mode, lambda file: file.read())

    async def write(self, name: str, data: str | bytes, mode: str = "w") -> None:
        """The file holds ``data``, or ends with it when ``mode`` is ``a``.

        Bytes are written as they are, whatever the mode says.
        """
        if isinstance(data, bytes) and "b" not in mode:
            mode += "b"
        await self._with_file(name, mode, lambda file: file.write(data))

    async def read_json(self, name: str) -> Any:
        """The value that the file holds as JSON."""
        return msgspec.json.decode(await self.read(name, "rb"))

    async def write_json(self, name: str, data: Any) -> FileMetadata | None:
        """The file holds ``data`` as JSON, here and in the storage if there is one: its description."""
        await self.write(name, msgspec.json.encode(data), "wb")
        return None if self._remote is None else await self.upload_file(name)

    async def upload_file(self, name: str) -> FileMetadata:
        """The file is in the storage, with the other files of the task; its description has the address."""
        path = await asyncio.to_thread(self._existing, name)
        return await self.remote.store(path, path.relative_to(self._root.resolve()).as_posix())

    async def upload_dir(self, dirname: str = "") -> FileMetadata:
        """Every file in the folder ``dirname``, or else in the whole folder, is in the storage."""
        path = await asyncio.to_thread(self._existing, dirname or ".")
        name = path.relative_to(self._root.resolve()).as_posix()
        return await self.remote.store(path, "" if name == "." else name)

    async def download_file(self, uri: str, filename: str, verify_meta: FileMetadata | None = None) -> str:
        """``filename`` is a copy of the file or folder at ``uri``, and as ``verify_meta`` says; its path."""
        path = await self.path_to(filename)
        await self.remote.fetch(uri, Path(path), verify_meta)
        return path

    async def list(self) -> Sequence[str]:
        """Names of what lies in the folder, sorted; empty when there is no folder yet."""
        return await asyncio.to_thread(self._names)

    async def exists(self, name: str) -> bool:
        """Whether there is a file or folder called ``name``."""
        return await asyncio.to_thread(lambda: self._contained(name).exists())

    @asynccontextmanager
    async def open(self, name: str, mode: str = "r") -> AsyncGenerator[OpenFile]:
        """The open file, closed at the end of the block."""
        file = await asyncio.to_thread(lambda: self._open(name, mode))
        try:
            yield OpenFile(file)
        finally:
            await asyncio.shield(asyncio.to_thread(file.close))

    async def remove(self) -> None:
        """The folder and everything in it is gone."""
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)

    async def _with_file(self, name: str, mode: str, use: Callable[[IO[Any]], R]) -> R:
        def run() -> R:
            with self._open(name, mode) as file:
                return use(file)

        return await asyncio.to_thread(run)

    def _open(self, name: str, mode: str) -> IO[Any]:
        return self._path(name).open(mode, encoding=None if "b" in mode else "utf-8")

    def _names(self) -> Sequence[str]:
        return sorted(entry.name for entry in self._root.iterdir()) if self._root.is_dir() else []

    def _made_root(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._root.resolve()

    def _path(self, name: str) -> Path:
        self._made_root()
        path = self._contained(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _existing(self, name: str) -> Path:
        root = self._root.resolve()
        path = root if name == "." else self._contained(name)
        if not path.exists():
            raise FileNotFoundError(f"{name!r} is not in the folder of the task")
        return path

    def _contained(self, name: str) -> Path:
        root = self._root.resolve()
        path = (root / name).resolve()
        if path != root and root in path.parents:
            return path
        raise PathError(f"{name!r} leads out of the folder of the task")
