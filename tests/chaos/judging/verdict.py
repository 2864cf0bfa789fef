"""The judge: from what all parties have seen to what was broken. A pure function."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tests.chaos.judging import about_clients, about_jobs, about_news, about_workers
from tests.chaos.judging.evidence import Evidence, Rules, Violation
from tests.chaos.judging.pressure import Figures, figures, shortcomings
from tests.chaos.judging.timeline import timeline
from tests.chaos.lines import AnyLine
from tests.chaos.options import Options

RULES: Final[tuple[Rules, ...]] = (
    *about_jobs.RULES,
    *about_clients.RULES,
    *about_workers.RULES,
    *about_news.RULES,
)
SHOWN: Final = 5


class Verdict(msgspec.Struct, frozen=True):
    """Red with violations; void when the run was too easy; else green."""

    violations: Sequence[Violation]
    shortcomings: Sequence[str]
    figures: Figures
    stories: Sequence[str]

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if self.violations:
            return "red"
        return "void" if self.shortcomings else "green"

    def __str__(self) -> str:
        counts = Counter(violation.rule for violation in self.violations)
        told = [f"{self.word}: {sum(counts.values())} violations"]
        told += (f"  {count:5} times: {rule}" for rule, count in counts.most_common())
        told += (f"  void: {why}" for why in self.shortcomings)
        told += (f"  {name}: {_round(value)}" for name, value in msgspec.structs.asdict(self.figures).items())
        return "\n".join([*told, *self.stories])


def judge(lines: Iterable[AnyLine], options: Options) -> Verdict:
    """What the lines of a run prove."""
    seen = Evidence(lines, options)
    found = [violation for rule in RULES for violation in rule(seen)]
    first: dict[str, list[Violation]] = {}
    for violation in found:
        first.setdefault(violation.rule, []).append(violation)
    stories: list[str] = []
    for violations in first.values():
        stories += map(str, violations[:SHOWN])
        if violations[0].job:
            stories += ("", *timeline(seen, violations[0].job), "")
    return Verdict(found, [*shortcomings(seen)], figures(seen), stories)


def _round(value: object) -> object:
    return f"{value:.2f}" if isinstance(value, float) else value
