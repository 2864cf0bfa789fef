"""What skills are declared to tell and to give: the schemas of their events and of their data."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw

from avtomatika import observe
from avtomatika.blueprints.schema import check_schema, violation
from avtomatika.errors import InvalidInput
from avtomatika.kernel.model import NULL
from rxon.messages import SkillInfo

DIALECT = "json-schema"
"""The only dialect that is understood. Skills that are declared in another one are believed."""


class Declared(msgspec.Struct, frozen=True, omit_defaults=True):
    """The schemas of one skill, by type of event and for the data."""

    events: dict[str, Raw] = {}
    data: Raw = NULL

    def breach(self, event: str, payload: Raw) -> str | None:
        """What is wrong with the payload of such an event, or None."""
        schema = self.events.get(event)
        return None if schema is None else violation(bytes(schema), bytes(payload))


def declared_by(worker_id: str, skills: Iterable[SkillInfo]) -> dict[str, Declared]:
    """What the worker declares of its skills. A schema that nobody can use is as if it were not there."""
    found: dict[str, Declared] = {}
    for skill in skills:
        if skill.schema_dialect != DIALECT:
            continue
        schemas = {name: _usable(worker_id, schema) for name, schema in (skill.events_schema or {}).items()}
        events = {name: schema for name, schema in schemas.items() if schema != NULL}
        data = NULL if skill.output_schema is None else _usable(worker_id, skill.output_schema)
        if events or data != NULL:
            found[skill.name] = Declared(events, data)
    return found


def _usable(worker_id: str, schema: Mapping[str, object]) -> Raw:
    raw = msgspec.json.encode(schema)
    try:
        check_schema(raw)
    except InvalidInput as error:
        observe.warning("worker.schema_unusable", worker=worker_id, why=error.message)
        return NULL
    return Raw(raw)
