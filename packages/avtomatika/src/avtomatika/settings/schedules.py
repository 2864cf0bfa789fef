"""The settings of schedules."""

from pathlib import Path

import msgspec

from avtomatika.settings.reader import Reader


class ScheduleSettings(msgspec.Struct, frozen=True):
    """The file of the schedules, if there is one, and the zone of those that name none."""

    file: Path | None = None
    zone: str = "UTC"


def read_schedules(reader: Reader) -> ScheduleSettings:
    """`SCHEDULES_CONFIG_PATH` and `TZ`."""
    name = "SCHEDULES_CONFIG_PATH"
    given = reader.optional(name)
    if given is not None and not Path(given).is_file():
        reader.problem(name, f"there is no file {given}")
    # Elsewhere TZ may begin with a colon, before the name of a zone.
    zone = reader.text("TZ", "UTC").removeprefix(":")
    return ScheduleSettings(None if given is None else Path(given), zone)
