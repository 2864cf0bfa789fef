"""Names of stored files, which never lead out of where they belong."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rxon.attachments import Address
from rxon.storage.errors import UnsafeKey

__all__ = ["files_below", "path_below", "safe_bucket", "safe_key", "safe_prefix"]

_LONGEST: Final = 1024  # bytes, as S3 has it
_UNSAFE: Final = re.compile(r"[\\\x00-\x1f\x7f]")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def safe_bucket(bucket: str) -> str:
    """The name of a bucket, which is one step of a path. Raises UnsafeKey."""
    if not _BUCKET.fullmatch(bucket):
        raise UnsafeKey(f"{bucket!r} is no name of a bucket.")
    return bucket


def safe_key(key: str) -> str:
    """The key of a file: steps joined by ``/``. Raises UnsafeKey.

    No step is empty, ``.`` or ``..``, and there is no backslash and no control character.
    """
    try:
        long = len(key.encode()) > _LONGEST
    except UnicodeEncodeError:
        raise UnsafeKey(f"{key!r} is no text.") from None
    if long or _UNSAFE.search(key) or not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise UnsafeKey(f"{key[:200]!r} is no safe name of a file.")
    return key


def safe_prefix(key: str) -> str:
    """What the keys of all files in a folder begin with: a safe key and ``/``, or nothing at all."""
    plain = key.removesuffix("/")
    return f"{safe_key(plain)}/" if plain else ""


def path_below(folder: Path, name: str) -> Path:
    """The path that ``name``, the rest of a key, has in a copy of the folder. Raises UnsafeKey."""
    return folder.joinpath(*safe_key(name).split("/"))


def files_below(folder: Path, address: Address) -> Iterator[tuple[Path, str]]:
    """Each file in ``folder`` and its subfolders with its key below ``address``, sorted by path.

    Raises UnsafeKey for a name that can be no key, and for what is neither a file nor a folder, such as a
    link out of the folder.
    """
    prefix, root = safe_prefix(address.key), folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not _stays(path, root):
            raise UnsafeKey(f"{name!r} is a link that leads out of the folder, or to another folder.")
        if path.is_file():
            yield path, safe_key(prefix + name)
        elif not path.is_dir():
            raise UnsafeKey(f"{name!r} is neither a file nor a folder.")


def _stays(link: Path, root: Path) -> bool:
    return link.is_file() and link.resolve().is_relative_to(root)
