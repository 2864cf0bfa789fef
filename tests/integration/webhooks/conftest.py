"""Nodes that may send webhooks to the sinks of these tests and to no other private address."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.integration.http.conftest import Start, start, storage
from tests.integration.webhooks.sinks import HERE, Sink, always, sink, status

__all__ = ["receiver", "sending", "start", "storage"]

SECRET = "whsec_YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcywgbmVhcmx5"


@pytest.fixture
async def receiver() -> AsyncIterator[Sink]:
    """A server of a client. It takes everything."""
    async with sink(always(status(204))) as opened:
        yield opened


@pytest.fixture
def sending(start: Start) -> Start:
    """Starts nodes that try again soon."""
    return partial(
        start,
        WEBHOOK_ALLOW_HTTP=True,
        WEBHOOK_ALLOWED_HOSTS=f"{HERE}/32",
        WEBHOOK_SECRET=SECRET,
        WEBHOOK_BACKOFF_SECONDS=0.01,
        WEBHOOK_BACKOFF_MAX_SECONDS=0.05,
    )
