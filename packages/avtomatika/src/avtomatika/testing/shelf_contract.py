"""The promises of `avtomatika.ports.shelf`, as tests for any adapter.

    class TestMyShelf(ShelfContract):
        @pytest.fixture
        async def shelf(self) -> AsyncIterator[Shelf]:
            shelf = await MyShelf.open()
            yield shelf
            await shelf.close()

Run them with pytest-asyncio in its automatic mode.
"""

import pytest

from avtomatika.ports.shelf import Shelf
from avtomatika.testing.contract.shelf import Restart, ValueContract, ValueSurvivalContract


class ShelfContract(ValueContract):
    """What every shelf promises. Derive from it and give it your `shelf`."""

    @pytest.fixture
    def shelf(self) -> Shelf:
        """An empty shelf. Yours."""
        raise NotImplementedError("Give the contract a fixture named `shelf`.")


class DurableShelfContract(ShelfContract, ValueSurvivalContract):
    """What a shelf promises in addition when it outlives its process. Give it `restart` as well."""

    @pytest.fixture
    def restart(self) -> Restart:
        """The shelf as it is for the next process, after the end of this one. Yours."""
        raise NotImplementedError("Give the contract a fixture named `restart`.")


__all__ = ["DurableShelfContract", "Restart", "ShelfContract"]
