"""Time as data: integers of milliseconds, always passed in."""

from typing import NewType

Instant = NewType("Instant", int)
"""Milliseconds since the Unix epoch, UTC. The only time that is ever stored."""

Span = NewType("Span", int)
"""A length of time in milliseconds."""

SECOND = Span(1_000)


def after(start: Instant, span: Span) -> Instant:
    """The instant that lies *span* later than *start*."""
    return Instant(start + span)


def earlier(one: Instant | None, other: Instant | None) -> Instant | None:
    """The earlier of two moments; None is never."""
    return min(one, other) if one is not None and other is not None else one if other is None else other


def seconds(value: float) -> Span:
    """*value* seconds as a span, rounded to the millisecond."""
    return Span(round(value * SECOND))
