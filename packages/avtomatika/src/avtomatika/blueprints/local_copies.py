"""Copies of files of a job on this machine, and which stored ones they stem from."""

import os
import shutil
import stat
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from avtomatika.errors import ConfigError, InvalidInput

_BESIDE: Final = ".stored"
_NOTHING: Final = ""


class LocalCopies:
    """The folder of one job below *root*, made when it is first needed, for this user alone."""

    def __init__(self, root: Path, job: str) -> None:
        self._base, self._root, self._stems = root, root / job, root / _BESIDE / job

    def path(self, name: str) -> Path:
        """The path of the file of that name, whose folder is there.

        Raises InvalidInput when a link leads out of the folder of the job.
        """
        _made(self._base, self._root)
        path = self._root / name
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise InvalidInput("The name of the file leads out of the folder of the job.", field="filename")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() and not path.resolve().is_relative_to(self._root.resolve()):
            raise InvalidInput("The name of the file leads out of the folder of the job.", field="filename")
        return path

    def write(self, name: str, content: bytes, replaces: str | None) -> Path:
        """The path of the file, which holds *content*: newer than what is stored as *replaces*."""
        path = self.path(name)
        handle, fresh = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(fresh, path)
        finally:
            Path(fresh).unlink(missing_ok=True)
        self.stems_from(name, replaces)
        return path

    def stems_from(self, name: str, etag: str | None) -> None:
        """The copy was made from the stored file of this etag, or when there was none."""
        _made(self._base, self._stems)
        self._stem(name).write_text(_NOTHING if etag is None else etag)

    def is_of(self, name: str, etag: str | None) -> bool:
        """True when there is a copy that was made from this stored file, and perhaps changed since."""
        try:
            return self.path(name).exists() and self._stem(name).read_text() == (etag or None)
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """There are no copies."""
        for folder in (self._root, self._stems):
            shutil.rmtree(folder, ignore_errors=True)

    def _stem(self, name: str) -> Path:
        return self._stems / sha256(name.encode()).hexdigest()


def _made(base: Path, folder: Path) -> None:
    """The folder is there, below *base*. Raises ConfigError when others could put links into that."""
    if not base.is_dir():
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = base.stat().st_mode
    if os.name == "posix" and mode & stat.S_IWOTH:
        raise ConfigError(f"TASK_FILES_DIR: anybody may write into {base}; name a folder of your own.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
