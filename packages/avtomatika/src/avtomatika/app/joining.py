"""Whether a node may run on a store: the secrets that nodes of one store agree on."""

from collections.abc import Mapping
from typing import Final

from avtomatika.app.timekeeping import opened
from avtomatika.commands import siblings
from avtomatika.commands.moving import refuse_moving
from avtomatika.ports.store import Store
from avtomatika.settings import Settings

_FIELDS: Final = {
    "CLIENT_TOKEN": "client_token",
    "GLOBAL_WORKER_TOKEN": "worker_token",
    "OPERATOR_TOKEN": "operator_token",
    "APPROVAL_SECRET": "approval_secret",
    "WEBHOOK_SECRET": "webhook_secret",
}


async def join(store: Store, settings: Settings) -> None:
    """A node with these settings may run on the store.

    Raises ConfigError when another node of a shared store has other secrets, and for a store that is being
    moved.
    """
    if settings.storage.shared:
        await siblings.agree(store.shelf, secrets_of(settings))
    # After the secrets are there, by which a copy knows that it is not alone.
    await refuse_moving(store.shelf)


def secrets_of(settings: Settings) -> Mapping[str, str]:
    """The secrets that nodes of one store share, by the names of their settings.

    A token that a node does not have is one that it lets nobody in with. Who signs tasks, and who does not,
    makes a difference.
    """
    found = {name: getattr(settings, field) for name, field in _FIELDS.items()}
    given = {name: secret for name, secret in found.items() if secret}
    return {**given, "ORCHESTRATOR_SECRET_KEY": settings.workers.task_key or ""}


async def rotate(settings: Settings) -> int:
    """The next node to start chooses the secrets of all that start after it; how many there were."""
    async with opened(settings) as (store, _):
        known = await siblings.chosen(store.shelf)
        await siblings.forget(store.shelf)
        return len(known)
