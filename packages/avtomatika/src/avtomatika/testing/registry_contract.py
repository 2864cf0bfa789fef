"""The promises of `avtomatika.ports.registry`, as tests for any adapter.

    class TestMyRegistry(RegistryContract):
        @pytest.fixture
        async def registry(self) -> AsyncIterator[Registry]:
            registry = await MyRegistry.open()
            yield registry
            await registry.close()

Run them with pytest-asyncio in its automatic mode.
"""

import pytest

from avtomatika.ports.registry import Registry
from avtomatika.testing.contract.documents import DocumentContract


class RegistryContract(DocumentContract):
    """What every registry promises. Derive from it and give it your `registry`."""

    @pytest.fixture
    def registry(self) -> Registry:
        """An empty registry. Yours."""
        raise NotImplementedError("Give the contract a fixture named `registry`.")
