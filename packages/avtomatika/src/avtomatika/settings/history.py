"""Where the history outside is: `HISTORY_DATABASE_URI`."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from avtomatika.settings.reader import Reader

VARIABLE: Final = "HISTORY_DATABASE_URI"
_WANTED: Final = "must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"


def history_uri(reader: Reader, storage_url: str) -> str | None:
    """The URI, or None when there is no history outside. A problem never tells of the password in it."""
    given = reader.optional(VARIABLE)
    if given is None:
        return None
    scheme = given.partition(":")[0]
    if scheme == "sqlite":
        path = sqlite_path(given)
        if path is None:
            reader.problem(VARIABLE, _WANTED)
        elif path.resolve() == _resolved(sqlite_path(storage_url)):
            reader.problem(VARIABLE, "is the file of STORAGE_URL; the history needs one of its own")
    elif scheme not in ("postgresql", "postgres"):
        reader.problem(VARIABLE, _WANTED)
    elif not _is_plain(given):
        reader.problem(VARIABLE, f"{_WANTED}, with other signs than letters and digits percent-encoded")
    return given


def sqlite_path(uri: str) -> Path | None:
    """The path in `sqlite:///PATH`, relative to the current folder unless PATH begins with a slash."""
    start, path = uri[:10], uri[10:]
    return Path(path) if start == "sqlite:///" and path.strip("/") else None


def _resolved(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _is_plain(uri: str) -> bool:
    """True when the URI reads one way only: a password with a slash in it would end up as a port."""
    try:
        parts = urlsplit(uri)
        return parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        return False
