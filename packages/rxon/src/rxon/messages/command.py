"""What a server tells a worker to do, and the tokens that it gives it."""

from typing import Any

import msgspec

from rxon.messages.wire import OptionalRaw, settle

__all__ = ["RefreshRequest", "TokenAnswer", "WorkerCommand"]


class WorkerCommand(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``cancel_task`` stops a task; the worker's own commands have names of its own.

    ``params`` are the operator's JSON, unaltered. One that comes again has the same ``id``.
    """

    command: str
    task_id: str | None = None
    job_id: str | None = None
    params: OptionalRaw = None
    metadata: dict[str, Any] | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        settle(self, "params")


class TokenAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token that opens as the worker's own does, for ``expires_in`` seconds, and one to renew it with."""

    access_token: str
    expires_in: int
    worker_id: str
    refresh_token: str | None = None


class RefreshRequest(msgspec.Struct, frozen=True):
    """The token that renews, which is good for one time."""

    refresh_token: str = ""
