"""What a worker and the processes of its handlers say to each other, and where handlers are found."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from avtomatika_worker.errors import SkillError
from avtomatika_worker.skills.skill_folder import SKILL_PACKAGE, skill_module

__all__ = [
    "Do",
    "Done",
    "Failed",
    "HandlerPlace",
    "Hot",
    "Reply",
    "Said",
    "place_of",
    "read_do",
    "read_reply",
    "write",
]


class HandlerPlace(msgspec.Struct, frozen=True):
    """A module, or the file of one that only we can import, and the name of a function in it."""

    module: str
    name: str
    file: str | None = None

    def find(self) -> Callable[..., Any]:
        """The function. Raises whatever importing its module raises."""
        module = sys.modules.get(self.module)
        if module is None:
            module = importlib.import_module(self.module) if self.file is None else skill_module(self.file)
        found: Any = module
        for part in self.name.split("."):
            found = getattr(found, part)
        function: Callable[..., Any] = found
        return function


def place_of(handler: Callable[..., Any]) -> HandlerPlace:
    """Where another process finds the handler. Raises SkillError when it cannot."""
    name: str = getattr(handler, "__qualname__", "")
    if not inspect.isfunction(handler) or "<" in name:
        raise SkillError(f"{handler!r} cannot run in a process: only functions at the top of a module can")
    file = handler.__code__.co_filename if handler.__module__.startswith(SKILL_PACKAGE) else None
    return HandlerPlace(handler.__module__, name, None if file is None else str(Path(file).resolve()))


class Do(msgspec.Struct, frozen=True, tag="do"):
    """Call the handler for a task: ``offer`` and ``params`` as JSON, ``added`` arguments pickled."""

    place: HandlerPlace
    offer: bytes
    params: bytes
    folder: str
    added: bytes | None
    log_level: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The handler returned ``value``, which is JSON."""

    value: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The handler raised. There is a ``code`` if it chose one, else ``trace`` says where it came from."""

    message: str
    code: str | None = None
    details: dict[str, Any] | None = None
    trace: str = ""


class Said(msgspec.Struct, frozen=True, tag="said"):
    """What the handler told, as JSON."""

    told: bytes


class Hot(msgspec.Struct, frozen=True, tag="hot"):
    """A model was loaded, or is not any more."""

    model: str
    loaded: bool


Reply = Done | Failed | Said | Hot

# A union is no `type`, but msgspec decodes it like one.
_REPLIES: Final = msgspec.msgpack.Decoder(cast("type[Reply]", Reply))
_REQUESTS: Final = msgspec.msgpack.Decoder(Do)


def write(message: "Do | Reply") -> bytes:
    """The message on its way."""
    return msgspec.msgpack.encode(message)


def read_do(data: bytes) -> Do:
    """What the worker wants."""
    return _REQUESTS.decode(data)


def read_reply(data: bytes) -> Reply:
    """What the process says."""
    return _REPLIES.decode(data)
