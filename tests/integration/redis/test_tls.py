"""`rediss://` speaks TLS, and to nobody whom it cannot trust."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from avtomatika.errors import Unavailable
from avtomatika.stores.redis import checks
from avtomatika.testing.contract.values import a_job, create
from tests.integration.redis.conftest import Cutter, Open
from tests.servers.valkey import ValkeyServer


@pytest.fixture
def authority() -> trustme.CA:
    """Who signs the certificate of the server."""
    return trustme.CA()


@pytest.fixture
async def behind_tls(valkey_server: ValkeyServer, authority: trustme.CA) -> AsyncIterator[str]:
    """The host and port where the server is reached by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    cutter = Cutter(valkey_server.port)
    await cutter.start(context)
    yield cutter.url.replace("redis://127.0.0.1", "rediss://localhost")
    await cutter.stop()


async def test_a_store_is_reached_by_tls(
    behind_tls: str, authority: trustme.CA, tmp_path: Path, open_at: Open
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    store, _ = await open_at(f"{behind_tls}?ssl_ca_certs={trusted}")
    await create(store, a_job())
    assert await store.load(a_job().id) == a_job()


async def test_a_server_that_nobody_vouches_for_is_not_talked_to(
    behind_tls: str, open_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "PATIENCE_S", 3.0)
    with pytest.raises(Unavailable, match="certificate"):
        await open_at(behind_tls)
