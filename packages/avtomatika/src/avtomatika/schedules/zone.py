"""The clocks of a zone: what they show at an instant, and at which instants they show a time."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import Instant

MINUTE: Final = timedelta(minutes=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name. Raises InvalidInput when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"there is no time zone {name!r}") from error


def shown(at: Instant, zone: ZoneInfo) -> datetime:
    """What the clocks show at the instant, without the zone."""
    return (_EPOCH + at * _MILLISECOND).astimezone(zone).replace(tzinfo=None, fold=0)


def instants(local: datetime, zone: ZoneInfo) -> tuple[Instant, ...]:
    """The instants at which the clocks show *local*, in order: none, one, or two."""
    first = local.replace(tzinfo=zone)
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset():
        return (_instant(first),)
    # Clocks are set around then: forward, so that neither shows it, or back, so that both do.
    return tuple(at for at in map(_instant, (first, second)) if shown(at, zone) == local)


def _instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // _MILLISECOND)


def first_valid(local: datetime, zone: ZoneInfo) -> Instant:
    """The first instant at which the clocks show *local*, or the next minute that they show at all."""
    while not (found := instants(local, zone)):
        local += MINUTE
    return found[0]
