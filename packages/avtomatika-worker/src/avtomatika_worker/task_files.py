"""A folder of its own for each task."""

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from avtomatika_worker.errors import PathError

__all__ = ["OpenFile", "TaskFiles", "task_folder"]

R = TypeVar("R")


def task_folder(root: Path, task_id: str) -> Path:
    """The folder of ``task_id`` directly under ``root``; different ids never share one."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", task_id)[:100]
    if plain and plain == task_id:
        return root / plain
    return root / f"{plain}-{hashlib.sha256(task_id.encode()).hexdigest()[:16]}"


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
    folder, also through a symbolic link, and OSError as the file system does. No method blocks
    the event loop.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def get_root(self) -> str:
        """Path of the folder, which exists now."""
        return str(await asyncio.to_thread(self._made_root))

    async def path_to(self, name: str) -> str:
        """Absolute path for ``name``; the folder it lies in exists now."""
        return str(await asyncio.to_thread(self._path, name))

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

    def _contained(self, name: str) -> Path:
        root = self._root.resolve()
        path = (root / name).resolve()
        if path != root and root in path.parents:
            return path
        raise PathError(f"{name!r} leads out of the folder of the task")
