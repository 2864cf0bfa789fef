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


def seconds(value: float) -> Span:
    """*value* seconds as a span, rounded to the millisecond."""
    return Span(round(value * SECOND))
