"""Which bytes of a message a signature covers."""

from collections.abc import Collection
from typing import Final

from rxon.canonical import Body, Form, canonical
from rxon.errors import ProtocolError

__all__ = ["EVENT_IGNORES", "TASK_IGNORES", "signed_bytes"]

NEVER_SIGNED: Final = frozenset({"security", "_signature"})

EVENT_IGNORES: Final = frozenset({"bubbling_chain"})
"""Members of an event that grow on its way."""

TASK_IGNORES: Final = frozenset(
    {"sig", "orchestrator_signature", "skill_version", "skill_type", "lease_token", "lease_seconds"}
)
"""Members of a task that its signature leaves out: the signature itself, what published orchestrators add
after signing, and the members of ours that published workers drop before they verify."""


def signed_bytes(body: Body, ignore: Collection[str] = (), form: Form = Form.R14) -> bytes:
    """The canonical bytes of the object in ``body`` without its signature and the members to ``ignore``.

    Raises ProtocolError when ``body`` is no object, and as ``canonical`` does.
    """
    found = canonical(body, without=NEVER_SIGNED.union(ignore), form=form)
    if found[:1] != b"{":
        raise ProtocolError("Only an object can be signed.")
    return found
