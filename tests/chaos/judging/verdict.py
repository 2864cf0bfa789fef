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
MOST_STORIES: Final = 100


class Story(msgspec.Struct, frozen=True):
    """A violation, and what all sides saw of its job."""

    violation: Violation
    lines: Sequence[str]

    def __str__(self) -> str:
        return "\n".join([str(self.violation), *self.lines, ""])


class Verdict(msgspec.Struct, frozen=True):
    """Red with violations; void when the run was too easy; else green."""

    violations: Sequence[Violation]
    shortcomings: Sequence[str]
    figures: Figures
    stories: Sequence[Story]

    @property
    def word(self) -> str:
        """The verdict in a word."""
        if self.violations:
            return "red"
        return "void" if self.shortcomings else "green"

    @property
    def summary(self) -> str:
        """What was broken how often, and the figures."""
        counts = Counter(violation.rule for violation in self.violations)
        told = [f"{self.word}: {counts.total()} violations"]
        told += (f"  {count:5} times: {rule}" for rule, count in counts.most_common())
        told += (f"  void: {why}" for why in self.shortcomings)
        told += (f"  {name}: {_round(value)}" for name, value in msgspec.structs.asdict(self.figures).items())
        return "\n".join(told)

    def __str__(self) -> str:
        """The summary, and of each rule that was broken the first violations, the first with its story."""
        told = [self.summary]
        for rule in dict.fromkeys(violation.rule for violation in self.violations):
            told.append(str(next(story for story in self.stories if story.violation.rule == rule)))
            broken = [violation for violation in self.violations if violation.rule == rule]
            told += map(str, broken[1:SHOWN])
        return "\n".join(told)


def judge(lines: Iterable[AnyLine], options: Options) -> Verdict:
    """What the lines of a run prove."""
    seen = Evidence(lines, options)
    found = [violation for rule in RULES for violation in rule(seen)]
    first = {violation.rule: violation for violation in reversed(found)}
    chosen = dict.fromkeys([*first.values(), *found[:MOST_STORIES]])
    stories = [Story(each, timeline(seen, each.job) if each.job else ()) for each in chosen]
    return Verdict(found, [*shortcomings(seen)], figures(seen), stories)


def _round(value: object) -> object:
    return f"{value:.2f}" if isinstance(value, float) else value
