"""What every part of a node stands on: where it keeps things, what time it is, and who it is."""

import msgspec

from avtomatika.ports.clock import Clock, Names
from avtomatika.ports.spawn import Spawn
from avtomatika.ports.store import Store


class NodeContext(msgspec.Struct, frozen=True):
    """The store, the time, the names and the work beside requests of the node called `name`."""

    store: Store
    clock: Clock
    names: Names
    spawn: Spawn
    name: str

    @property
    def owner(self) -> str:
        """The name under which the node holds leases."""
        return f"node:{self.name}"
