"""Who asked for a job, as a handler may see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClientConfig:
    """The API client of a job. `config` holds every entry of its configuration except the token."""

    id: str = ""
    plan: str = "unknown"
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    config: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def token(self) -> str:
        """Always redacted: a handler has no use for a secret."""
        return "***"
