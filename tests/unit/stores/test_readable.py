"""No kind of stored value with a number or a moment in it is forgotten when commits are looked at."""

import re
from typing import get_args

import pytest

from avtomatika.kernel.decisions import Decision
from avtomatika.kernel.events import Event
from avtomatika.kernel.model import Phase
from avtomatika.ports.store import Body
from avtomatika.stores import readable

KINDS = {
    "phases": (Phase, readable._OF_PHASES),
    "decisions": (Decision, readable._OF_DECISIONS),
    "events": (Event, readable._OF_EVENTS),
    "bodies": (Body, readable._OF_BODIES),
}
HOLDS_SOME = re.compile(r"\b(Instant|Span|float|Order|Task|Job|Fact|Sleep)\b")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_that_holds_a_number_or_a_moment_is_looked_at(name: str) -> None:
    union, checks = KINDS[name]
    holding = {
        kind
        for kind in get_args(union)
        if any(HOLDS_SOME.search(str(kind.__annotations__[field])) for field in kind.__struct_fields__)
    }
    assert holding == set(checks)
    assert holding
