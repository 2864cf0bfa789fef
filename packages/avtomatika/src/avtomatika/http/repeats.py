"""Objects in which a member comes twice: which of the two was meant, nobody can know."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput


def refuse_repeats(body: bytes, members: Mapping[str, Raw], field: str) -> None:
    """The object *body*, decoded as *members*, names none of them twice. Raises InvalidInput.

    Objects within it are not looked into: they are passed through as the bytes that they are.
    """
    # Without repeats the members are the whole object. Only one that is longer is taken apart.
    if len(_bare(body)) == len(_bare(msgspec.json.encode(members))):
        return
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInput(f"The member '{name}' comes twice.", field=f"{field}.{name}".lstrip("."))
        seen.add(name)


def _bare(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1)
