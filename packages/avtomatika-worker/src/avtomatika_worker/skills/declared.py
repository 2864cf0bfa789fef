"""Parameters and events held against the schemas that a skill declares."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from avtomatika_worker.errors import InvalidInputError
from avtomatika_worker.skills.teller import Told
from rxon.errors import ProtocolError
from rxon.messages import SkillInfo
from rxon.vocabulary import PROGRESS, SCHEMA_DIALECT

__all__ = ["Declared"]

Problem = Callable[[Any], tuple[str, str] | None]

_log = logging.getLogger(__name__)


class Declared:
    """What the schemas of ``info`` allow. With ``strict``, a skill that declares events has no others.

    Schemas that cannot be used allow everything, and so do all without the extra ``schema``.
    """

    def __init__(self, info: SkillInfo, strict: bool = True) -> None:
        usable = info.schema_dialect == SCHEMA_DIALECT
        self._skill = info.name
        self._strict = strict
        self._input = _checker(info.name, info.input_schema) if usable and info.input_schema else None
        events = (info.events_schema or {}) if usable else {}
        self._events = {name: _checker(info.name, schema) for name, schema in events.items()}

    def check_input(self, params: Any) -> None:
        """The parameters are what the skill takes. Raises InvalidInputError."""
        problem = None if self._input is None else self._input(params)
        if problem is not None:
            field, message = problem
            raise InvalidInputError(message, details={"field": field} if field else None)

    def allows(self, told: Told) -> bool:
        """Whether the event may be sent; why not is on the log. Progress always may."""
        if told.name == PROGRESS or not self._events:
            return True
        if told.name not in self._events:
            if self._strict:
                _log.warning("Skill %r declares no event %r: it is not sent", self._skill, told.name)
            return not self._strict
        check = self._events[told.name]
        problem = None if check is None else check(msgspec.json.decode(told.payload))
        if problem is not None:
            _log.warning("Event %r of skill %r is not sent: %s", told.name, self._skill, ": ".join(problem))
        return problem is None


def _checker(skill: str, schema: dict[str, Any]) -> Problem | None:
    """Where and how a value breaks the schema, if it does."""
    try:
        from rxon.schema.validation import broken, check_schema
    except ImportError:
        _log.info("Schemas are not applied here: pip install 'avtomatika-worker[schema]'")
        return None
    encoded = msgspec.json.encode(schema)
    try:
        check_schema(encoded)
    except ProtocolError as error:
        _log.warning("A schema of skill %r is not applied: %s", skill, error.message)
        return None

    def problem(value: Any) -> tuple[str, str] | None:
        found = broken(encoded, value)
        return None if found is None else (found.path.removeprefix("."), found.message)

    return problem
