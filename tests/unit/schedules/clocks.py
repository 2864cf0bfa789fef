"""What clocks show, found out minute by minute and independently of the rules, to measure their answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from avtomatika.kernel.time import Instant

MINUTE = timedelta(minutes=1)

Matches = Callable[[datetime], bool]


def at(text: str, zone: str = "UTC", fold: int = 0) -> Instant:
    """The instant at which the clocks of the zone show *text*; the second one with *fold*."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return Instant(round(moment.timestamp() * 1_000))


def told(moment: Instant, zone: str = "UTC") -> str:
    """The instant as the clocks of the zone show it, with its distance from UTC."""
    return datetime.fromtimestamp(moment / 1_000, ZoneInfo(zone)).isoformat(timespec="minutes")


def minutes(zone: str, start: datetime, end: datetime) -> Iterator[tuple[Instant, datetime, list[datetime]]]:
    """Every minute from *start* (UTC) to before *end*: what is shown, and which times have then come.

    A time that was shown before has come already; times that are left out have come with the next minute.
    """
    place = ZoneInfo(zone)
    moment = start.replace(tzinfo=UTC)
    latest = (moment - MINUTE).astimezone(place).replace(tzinfo=None)
    while moment < end.replace(tzinfo=UTC):
        local = moment.astimezone(place).replace(tzinfo=None)
        come: list[datetime] = []
        while latest < local:
            latest += MINUTE
            come.append(latest)
        yield Instant(int(moment.timestamp()) * 1_000), local, come
        moment += MINUTE
