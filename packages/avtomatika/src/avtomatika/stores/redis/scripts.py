"""The scripts that run in the server: one for every verb, each a whole or nothing."""

from hashlib import sha1
from importlib import resources
from typing import Final

import msgspec


class Script(msgspec.Struct, frozen=True):
    """What runs, and the name under which the server has it."""

    source: bytes
    digest: str


def _script(*parts: str) -> Script:
    folder = resources.files("avtomatika.stores.redis") / "lua"
    source = b"\n".join((folder / f"{part}.lua").read_bytes() for part in ("prelude", *parts))
    return Script(source, sha1(source, usedforsecurity=False).hexdigest())


COMMIT: Final = _script("messages", "jobs", "commit")
LEASE: Final = _script("messages", "lease")
EXTEND: Final = _script("messages", "extend")
SWEEP: Final = _script("jobs", "sweep")
NEXT_DUE: Final = _script("messages", "next_due")
PEEK: Final = _script("peek")
QUEUES: Final = _script("messages", "queues")
BACKLOG: Final = _script("backlog")
FIND: Final = _script("find")
TIME: Final = _script("time")
SHELF: Final = _script("shelf")
DOCUMENT: Final = _script("document")
EXPIRE: Final = _script("expire")

ALL: Final = (
    COMMIT,
    LEASE,
    EXTEND,
    SWEEP,
    NEXT_DUE,
    PEEK,
    QUEUES,
    BACKLOG,
    FIND,
    TIME,
    SHELF,
    DOCUMENT,
    EXPIRE,
)
