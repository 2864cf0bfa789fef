"""The hash by which worker and server see that the skills are still those that were registered."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from rxon.canonical import canonical_of
from rxon.messages.capability import SkillInfo

__all__ = ["skills_hash"]


def skills_hash(
    skills: Sequence[SkillInfo],
    costs: Mapping[str, float] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """SHA-256, in hexadecimal digits, of the skills in this order, their costs and what else is declared.

    To the server it is opaque: two are equal or not.
    """
    described = {"skills": skills, "capabilities": costs or {}, "extra": extra or {}}
    return sha256(canonical_of(described)).hexdigest()
