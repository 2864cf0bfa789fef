"""Who may come in. Tokens are kept as digests and compared in constant time."""

from collections.abc import Iterable, Mapping
from hmac import compare_digest
from typing import Final

from avtomatika import observe
from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands.roll import Listed, Roll, digest
from avtomatika.errors import Unauthorized

OPERATOR: Final = ClientConfig(id="operator", plan="operator")


class Access:
    """The clients and the worker tokens of a node."""

    def __init__(
        self,
        clients: Iterable[tuple[str, ClientConfig]],
        *,
        worker_token: str | None = None,
        worker_tokens: Mapping[str, str] | None = None,
        operator_token: str | None = None,
    ) -> None:
        """*worker_token* opens for any worker id; *worker_tokens* are those of single workers, and of
        groups under `pattern:GLOB`.

        Whoever has *operator_token* sees every job and may do what operators do.
        """
        listed = list(clients)
        if operator_token is not None:
            listed.append((operator_token, OPERATOR))
        self._by_digest = {digest(token): config for token, config in listed}
        self._by_id = {config.id: config for _, config in listed}
        own = {name: Listed.of(token) for name, token in (worker_tokens or {}).items()}
        self.roll = Roll(worker_token, own)

    def client(self, token: str | None) -> ClientConfig:
        """The client that the token belongs to. Raises Unauthorized."""
        if token:
            value = digest(token)
            for known, config in self._by_digest.items():
                if compare_digest(known, value):
                    return config
        observe.measured("auth.failed", role="client")
        raise Unauthorized("The client token is missing or not valid.")

    def client_of(self, client_id: str) -> ClientConfig:
        """The client of that id, or an anonymous one when the configuration no longer has it."""
        return self._by_id.get(client_id) or ClientConfig(id=client_id)
