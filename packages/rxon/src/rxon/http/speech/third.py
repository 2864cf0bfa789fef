"""The third generation, 1.0b14 to 1.0b21, with the protocol from 1.0b4 to 1.0b7.

Registrations are verified with the token that all workers share. All the rest is verified with the stored
form of the worker's own token when it has one, which is a digest, so that this digest is the key.
"""

from hashlib import sha256
from typing import Any

import msgspec

from rxon.canonical import Form
from rxon.codec import encode
from rxon.http.speech.signed import Signed
from rxon.messages import Heartbeat, Registration

__all__ = ["ThirdGeneration", "key_of_own_token"]


def key_of_own_token(token: str) -> str:
    """What such a server has stored of a worker's own token."""
    return sha256(token.encode()).hexdigest()


class ThirdGeneration(Signed):
    """Resources have their limits beside them, skills that are hot are objects."""

    form = Form.O21

    def _written(self, message: Any) -> bytes:
        if isinstance(message, Registration):
            return encode(_registration(message))
        if isinstance(message, Heartbeat):
            return encode(self._beat(message))
        return super()._written(message)

    def _beat(self, beat: Heartbeat) -> dict[str, Any]:
        written: dict[str, Any] = msgspec.to_builtins(beat)
        if beat.hot_skills is not None:
            known = self._memory.registration
            skills = {skill.name: skill for skill in (known and known.supported_skills) or ()}
            hot = beat.hot_skills
            written["hot_skills"] = [{"name": name, "type": _type(skills.get(name), name)} for name in hot]
        return written


def _registration(registration: Registration) -> dict[str, Any]:
    written: dict[str, Any] = msgspec.to_builtins(registration)
    written.setdefault("capabilities", {})  # without it the server answers with an error of its own
    resources: dict[str, Any] = written.setdefault("resources", {})
    properties: dict[str, Any] = resources.get("properties", {})
    for name in ("cpu_cores", "ram_gb"):
        if name in properties:
            resources.setdefault(name, properties[name])
    if registration.max_concurrent_tasks is not None:
        resources["max_concurrent_tasks"] = registration.max_concurrent_tasks
    written.pop("hot_skills", None)
    return written


def _type(skill: Any, name: str) -> str:
    return getattr(skill, "type", None) or name
