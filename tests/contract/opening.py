"""Opens every kind of store the way a node does."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from avtomatika.app.backends import Backend, open_backend
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.kernel.time import Span
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import read

SHARED = {"valkey": "valkey_url", "cluster": "valkey_cluster_url", "postgres": "postgres_uri"}
"""Stores that nodes share, and the fixture that tells where each of them is."""

KINDS = ("sqlite", *SHARED)


class Place(NamedTuple):
    """Where a store is: those that are shared have their names under a prefix."""

    url: str
    prefix: str = "avtomatika"


def place_of(kind: str, request: pytest.FixtureRequest) -> Place:
    """A place of that kind, where nothing is kept so far."""
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return Place(f"sqlite:///{folder / 'jobs.db'}")
    url: str = request.getfixturevalue(SHARED[kind])
    prefix: str = request.getfixturevalue("storage_prefix")
    return Place(url, prefix)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Backend]:
    """The store and the registry there, as a node has them."""
    settings = read(
        {"STORAGE_URL": place.url, "STORAGE_PREFIX": place.prefix, "INSTANCE_ID": f"test-{os.getpid()}"}
    )
    supervisor = Supervisor()
    backend = await open_backend(settings, SystemClock(), SystemNames(), supervisor)
    try:
        yield backend
    finally:
        await backend.store.close()
        await supervisor.stop_duties()
        await supervisor.drain(Span(5_000))
    assert not supervisor.failure().done(), supervisor.failure().result()
