"""What a planted fault is."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.chaos.options import Options

without: Any = msgspec.structs.replace
Plant = Callable[[], None]


class Planted(msgspec.Struct, frozen=True):
    """A fault: how it is planted, a run that shows it, and the rules of which it breaks at least one."""

    name: str
    plant: Plant
    options: Options
    breaks: tuple[str, ...]


PLANTED: Final[dict[str, Planted]] = {}


def fault(*breaks: str, **options: Any) -> Callable[[Plant], Plant]:
    """The function plants a fault of its name, which breaks one of these rules in such a run."""

    def register(made: Plant) -> Plant:
        name = made.__name__
        usual: dict[str, Any] = {"seconds": 15.0, "rate": 40.0, "workers": 4, "patience": 20.0}
        PLANTED[name] = Planted(name, made, Options(**{**usual, **options, "plant": name}), breaks)
        return made

    return register


def plant(name: str) -> None:
    """The fault is in the code of this process."""
    PLANTED[name].plant()
