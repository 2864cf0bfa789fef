"""Where the inputs of a task come from, and where they lie in its folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avtomatika_worker.files.failures import as_failure
from avtomatika_worker.files.spots import Spot, spots
from rxon.attachments import SCHEME, parse_uri
from rxon.messages import FileMetadata
from rxon.storage import UnsafeKey
from rxon.storage.keys import safe_bucket, safe_key

__all__ = ["Input", "inputs_of"]

_PREFIX = f"{SCHEME}://"
_LONGEST = 200  # bytes of a name; file systems take 255


class Input(NamedTuple):
    """A file or folder that a task asks for, everywhere it does."""

    uri: str
    path: Path
    spots: list[Spot]
    expected: FileMetadata | None


def inputs_of(params: dict[str, Any], said: Mapping[str, FileMetadata], root: Path) -> list[Input]:
    """What the addresses in ``params`` name, each with a place of its own below ``root``.

    It keeps its name; when the name is taken it lies in a numbered subfolder. ``said`` describes files by
    the path of the parameter or by their address. Raises InvalidInputError for what is no address.
    """
    found: dict[str, Input] = {}
    taken: set[str] = set()
    for spot in spots(params):
        if not spot.text.startswith(_PREFIX):
            continue
        if spot.text not in found:
            name = _name(spot)
            number, place = 1, name
            while place.casefold() in taken:
                number += 1
                place = f"{number}/{name}"
            taken |= {place.casefold(), place.partition("/")[0].casefold()}
            found[spot.text] = Input(spot.text, root / place, [], _description(spot, said))
        found[spot.text].spots.append(spot)
    return list(found.values())


def _name(spot: Spot) -> str:
    with as_failure(f"Parameter '{spot.path}'", is_input=True):
        address = parse_uri(spot.text)
        safe_bucket(address.bucket)
        key = address.key.removesuffix("/")
        if not key and not address.is_dir:
            raise UnsafeKey(f"'{spot.text}' is a bucket; all of its files are '{spot.text}/'.")
        name = safe_key(key).rpartition("/")[2] if key else address.bucket
    if len(name.encode()) <= _LONGEST:
        return name
    return hashlib.sha256(name.encode()).hexdigest() + Path(name).suffix[-16:]


def _description(spot: Spot, said: Mapping[str, FileMetadata]) -> FileMetadata | None:
    here = said.get(spot.path)
    if here is not None and here.uri in {spot.text, ""}:
        return here
    return next((metadata for metadata in said.values() if metadata.uri == spot.text), None)
