"""The promises of `avtomatika.ports.store`, as tests for any adapter.

    class TestMyStore(StoreContract):
        @pytest.fixture
        async def store(self, clock: VirtualClock) -> AsyncIterator[Store]:
            store = await MyStore.open(now=clock.now)
            yield store
            await store.close()

The tests write and check through the port alone. They are coroutines: run them with pytest-asyncio in
its automatic mode. A change in what a store does begins with a test here.
"""

import pytest

from avtomatika.ports.store import Store
from avtomatika.testing.contract.commits import CommitContract
from avtomatika.testing.contract.data import DataContract
from avtomatika.testing.contract.filters import FilterContract
from avtomatika.testing.contract.hanging_up import HangingUpContract
from avtomatika.testing.contract.leases import LeaseContract, OrderContract, ReplacementContract
from avtomatika.testing.contract.peeking import PeekContract
from avtomatika.testing.contract.reading import FactContract, FindContract, SweepContract
from avtomatika.testing.contract.records import BranchContract, ClaimContract
from avtomatika.testing.contract.refusals import RefusalContract
from avtomatika.testing.contract.revival import RevivalContract
from avtomatika.testing.contract.survival import Restart, SurvivalContract
from avtomatika.testing.contract.values import CountedTokens, VirtualClock
from avtomatika.testing.contract.waiting import QueueContract, WaitContract


class StoreContract(
    CommitContract,
    ClaimContract,
    BranchContract,
    LeaseContract,
    ReplacementContract,
    OrderContract,
    HangingUpContract,
    FactContract,
    FindContract,
    FilterContract,
    SweepContract,
    RevivalContract,
    WaitContract,
    QueueContract,
    PeekContract,
    DataContract,
    RefusalContract,
):
    """What every store promises. Derive from it and give it your `store`."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        """What the store takes for the present."""
        return VirtualClock()

    @pytest.fixture
    def tokens(self) -> CountedTokens:
        """Where the store takes the tokens of leases from."""
        return CountedTokens()

    @pytest.fixture(params=[True, False], ids=["durable", "not durable"])
    def durable(self, request: pytest.FixtureRequest) -> bool:
        """Whether the commits of the test ask to be durable. They are judged alike."""
        return bool(request.param)

    @pytest.fixture
    def store(self) -> Store:
        """An empty store. Yours."""
        raise NotImplementedError("Give the contract a fixture named `store`.")


class DurableStoreContract(StoreContract, SurvivalContract):
    """What a store promises in addition when it outlives its process. Give it `restart` as well."""

    @pytest.fixture
    def restart(self) -> Restart:
        """The store as it is for the next process, after the end of this one. Yours; try every way to end."""
        raise NotImplementedError("Give the contract a fixture named `restart`.")


__all__ = ["CountedTokens", "DurableStoreContract", "Restart", "StoreContract", "VirtualClock"]
