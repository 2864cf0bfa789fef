"""What skills are declared to tell and to give: the schemas of their events and of their data.

Declared is quickly: nothing is looked at before there is data. Nor can a worker take the time of others with
what it declares: a schema that nobody can use is as if it were not there, and so is any for data that takes
too long.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw

from avtomatika import observe
from avtomatika.blueprints.schema import violation
from avtomatika.kernel.model import NULL
from rxon.errors import ProtocolError
from rxon.messages import SkillInfo
from rxon.schema.burden import burden, work
from rxon.vocabulary import SCHEMA_DIALECT

MAX_WORK: Final = 100_000
"""Evaluations that data is worth, each a tenth of a microsecond or so."""


class Declared(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The schemas of one skill, by type of event and for the data."""

    events: dict[str, Raw] = {}
    data: Raw = NULL

    def breach(self, event: str, payload: Raw) -> str | None:
        """What is wrong with the payload of such an event, or None."""
        schema = _applied(self.events.get(event, NULL), payload)
        return None if schema == NULL else violation(bytes(schema), bytes(payload))

    def schema_of(self, data: Raw) -> Raw:
        """The schema that the data of a result is held against; null for none."""
        return _applied(self.data, data)


def declared_by(skills: Iterable[SkillInfo]) -> dict[str, Declared]:
    """What is declared of the skills."""
    found: dict[str, Declared] = {}
    for skill in skills:
        if skill.schema_dialect != SCHEMA_DIALECT:
            continue
        events = {name: Raw(msgspec.json.encode(each)) for name, each in (skill.events_schema or {}).items()}
        data = NULL if skill.output_schema is None else Raw(msgspec.json.encode(skill.output_schema))
        if events or data != NULL:
            found[skill.name] = Declared(events, data)
    return found


def _applied(schema: Raw, data: Raw) -> Raw:
    raw = bytes(schema)
    if schema == NULL or not _is_usable(raw):
        return NULL
    if work(raw, bytes(data)) > MAX_WORK:
        observe.measured("worker.unjudged", size=len(bytes(data)))
        return NULL
    return schema


@lru_cache(maxsize=4_096)
def _is_usable(schema: bytes) -> bool:
    """False for a schema that is as if it were not there, of which the log has the reason once."""
    try:
        burden(schema)
    except ProtocolError as error:
        observe.warning("worker.schema_unusable", why=error.message)
        return False
    return True
