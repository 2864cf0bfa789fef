"""The generations of workers, and how to tell them apart."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from rxon.errors import ProtocolError

__all__ = ["Generation", "of_registration", "of_version"]


class Generation(StrEnum):
    """Workers that say the same things the same way. The comments name their releases of the protocol."""

    G1 = "g1"  # none: plain JSON
    G2 = "g2"  # up to 1.0b3
    G3 = "g3"  # 1.0b4 to 1.0b7
    G4 = "g4"  # 1.0b8 to 1.0b14
    G5 = "g5"  # 1.0b15 to 1.0b17
    OURS = "ours"  # 2.0 and later


_LAST_BETA: Final = ((3, Generation.G2), (7, Generation.G3), (14, Generation.G4))
_BETA: Final = re.compile(r"1\.0b([0-9]{1,4})")
_MAJOR: Final = re.compile(r"([0-9]{1,4})\..*")


class _Shape(msgspec.Struct):
    supported_tasks: msgspec.Raw = msgspec.Raw(b"")
    supported_skills: msgspec.Raw = msgspec.Raw(b"")


_shape: Final = msgspec.json.Decoder(_Shape)
_FIRST_TEXT: Final = re.compile(rb'\s*\[\s*"')


def of_version(version: str | None) -> Generation | None:
    """The generation whose workers send this version, or None when it tells nothing."""
    beta = _BETA.fullmatch(version or "")
    if beta:
        number = int(beta[1])
        return next((named for last, named in _LAST_BETA if number <= last), Generation.G5)
    major = _MAJOR.fullmatch(version or "")
    return Generation.OURS if major and int(major[1]) >= 2 else None


def of_registration(body: bytes, version: str | None) -> Generation:
    """The generation of the worker that registers, or beats, with this body and version.

    What it says goes before the version: tasks instead of skills are of the first generation, skills that
    are only names of the second. Raises ProtocolError for what is no object of JSON.
    """
    try:
        shape = _shape.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"Invalid JSON body: {error}") from None
    if bytes(shape.supported_tasks):
        return Generation.G1
    if _FIRST_TEXT.match(bytes(shape.supported_skills)):
        return Generation.G2
    return of_version(version) or Generation.OURS
