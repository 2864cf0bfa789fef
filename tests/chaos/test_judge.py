"""The judge finds what is wrong with a history, and nothing in one that is well."""

import pytest

from tests.chaos.judging.evidence import Evidence
from tests.chaos.judging.timeline import timeline
from tests.chaos.judging.verdict import Verdict, judge
from tests.chaos.lines import AnyLine, Complaint, Final, Gone, Mark, Request, Silent
from tests.chaos.options import Options
from tests.chaos.stories import (
    NAP,
    NEWS,
    ONE,
    RACE,
    START,
    Spoil,
    also,
    at,
    beat,
    both,
    changed,
    fact,
    facts_changed,
    fault,
    final,
    good,
    lost,
    offer,
    one_facts,
    report,
    reported,
    request,
    without,
)

OPTIONS = Options(store="postgres", seconds=90, rate=0.1)
TASK = "one-2-0-1-1"
AGAIN = "one-2-0-1-2"


def judged(spoil: Spoil, options: Options = OPTIONS) -> Verdict:
    return judge(spoil([*good()]), options)


def rules(spoil: Spoil) -> set[str]:
    return {violation.rule for violation in judged(spoil).violations}


def is_final(job: str) -> Spoil:
    return lost(lambda line: isinstance(line, Final) and line.id == job)


def of_verb(verb: str) -> Spoil:
    return lost(lambda line: isinstance(line, Request) and line.verb == verb)


def is_delivery(line: AnyLine) -> bool:
    return type(line).__name__ == "Delivery"


def delivered(**members: object) -> Spoil:
    def spoil(lines: list[AnyLine]) -> list[AnyLine]:
        (found,) = filter(is_delivery, lines)
        return [*lines, without(found, t=START + 3, **members)]

    return spoil


def late(line: AnyLine) -> bool:
    return isinstance(line, Final) and line.facts[0].at > at(START + 9)


WRONG: dict[str, tuple[Spoil, str]] = {
    "a job was accepted and is not there": (is_final("one"), "an accepted job is there"),
    "a job waits for ever": (
        facts_changed("one", lambda facts: facts[:2]),
        "an accepted result is in the facts",
    ),
    "a job that is not over": (
        both(facts_changed("one", lambda facts: facts[:3]), changed("one", status="running")),
        "a job comes to an end",
    ),
    "a fact is missing": (
        facts_changed("one", lambda facts: (facts[0], *facts[2:])),
        "facts have no gap",
    ),
    "something happened after the end": (
        facts_changed("one", lambda facts: (*facts, fact(5, START + 2, "decided", "finished", "finished"))),
        "final is final",
    ),
    "two facts follow the same one": (
        facts_changed("one", lambda facts: (*facts[:3], without(facts[3], before="pending"))),
        "a fact follows the one before",
    ),
    "a result was applied twice": (
        facts_changed(
            "one",
            lambda facts: (
                *facts[:3],
                without(reported(4, START + 1.4, TASK, "w0"), before="running"),
                without(facts[3], version=5),
            ),
        ),
        "a result is applied at most once",
    ),
    "an alarm rang twice": (
        facts_changed(
            "nap",
            lambda facts: (
                *facts[:3],
                fact(4, START + 7, "alarm_rang", "running", "running", since=2),
                without(facts[3], version=5),
            ),
        ),
        "an effect happens once",
    ),
    "an alarm rang early": (
        facts_changed("nap", lambda facts: (*facts[:2], without(facts[2], at=at(START + 4.1)), facts[3])),
        "a timer fires when it is due",
    ),
    "another result": (changed("one", result={"value": 0}), "a job ends as without faults"),
    "another end": (changed("one", status="failed"), "a job ends as without faults"),
    "a child that nobody started": (
        also(final("child", ONE, one_facts("child", START), parent="one", source="parent:one")),
        "a child that was started is there",
    ),
    "two jobs for one key, as clients know": (
        also(request(START + 2, "repeat", ONE, 202, "news")),
        "a key makes one job",
    ),
    "two jobs for one key, as only the store knows": (
        also(final("twin", ONE, one_facts("twin", START))),
        "a key makes one job",
    ),
    "a job of somebody else's": (
        also(request(START + 2, "repeat", NEWS, 202, "one")),
        "an accepted job is what was asked for",
    ),
    "an answer of 500": (
        also(request(START + 2, "create", ONE, 500, "", code="internal_error")),
        "answers are of use to clients",
    ),
    "an answer of 503 without a reason": (
        also(request(START + 2, "create", ONE, 503, "", code="unavailable")),
        "a node is available while nothing is wrong",
    ),
    "a node that answers nobody": (
        also(without(request(START + 20, "create", ONE, 0, ""), node="n1")),
        "a node answers when nothing is wrong",
    ),
    "a node that is silent in the end": (
        also(Silent(t=START + 89, node="n1", why="TimeoutError()")),
        "a node answers when nothing is wrong",
    ),
    "a job that was there is not found": (
        also(request(START + 2, "read", ONE, 404, "one")),
        "who was answered reads what was said",
    ),
    "a cancelled job is shown as running": (
        also(request(START + 3.4, "read cancelled", RACE, 200, "race", shown="running")),
        "who was answered reads what was said",
    ),
    "a cancelled job finished": (
        both(
            of_verb("nothing"),
            facts_changed(
                "race", lambda facts: (*facts[:2], without(facts[2], event="decided", status="finished"))
            ),
        ),
        "200 for a cancellation means cancelled",
    ),
    "it was too late and still cancelled": (
        both(of_verb("cancel"), also(request(START + 3.2, "cancel", RACE, 409, "race"))),
        "what is cancelled was to be cancelled",
    ),
    "an event that was taken is not there": (
        facts_changed(
            "event",
            lambda facts: (*facts[:2], without(facts[2], event="alarm_rang", data={"since": 2}), facts[3]),
        ),
        "what was taken is in the facts",
    ),
    "a job that nobody asked for": (of_verb("create"), "a job was asked for"),
    "requests without an end": (
        lost(lambda line: isinstance(line, Mark) and line.name == "answered"),
        "every request is answered in the end",
    ),
    "an accepted result of another worker": (
        facts_changed("one", lambda facts: (*facts[:2], reported(3, START + 1.3, TASK, "w1"), facts[3])),
        "an accepted result is in the facts",
    ),
    "a refused result that was applied": (
        also(report(START + 1.4, "w0", TASK, "refused", why="stale_lease")),
        "a refused result is not applied",
    ),
    "a result of who never had the task": (
        lost(lambda line: getattr(line, "task", "") == TASK and type(line).__name__ == "Offer"),
        "a result comes from who holds the task",
    ),
    "a result of a lease that had ended": (
        both(
            lost(lambda line: getattr(line, "task", "") == TASK and type(line).__name__ == "Report"),
            also(offer(START + 4, "w1", AGAIN), report(START + 5, "w0", TASK)),
        ),
        "no result of a lease that has ended is applied",
    ),
    "two leases at once": (
        also(offer(START + 1.2, "w1", AGAIN)),
        "a task is leased to one worker at a time",
    ),
    "two leases at once after a pause of the store": (
        also(fault(START + 0.6, START + 1.08, "pause store", "store"), offer(START + 2.3, "w1", AGAIN)),
        "a task is leased to one worker at a time",
    ),
    "two leases at once after a heartbeat": (
        also(beat(START + 3, "w0", TASK), offer(START + 4, "w1", AGAIN)),
        "a task is leased to one worker at a time",
    ),
    "no webhook came": (lost(is_delivery), "a webhook that is due comes"),
    "a webhook was never taken": (
        both(delivered(answer=500), lost(lambda line: getattr(line, "answer", 0) == 200)),
        "a webhook that is due comes",
    ),
    "a webhook has two names": (delivered(name="news:5:job_finished"), "a webhook has one name"),
    "a webhook with another text": (delivered(digest="e"), "all attempts at a webhook say the same"),
    "a webhook that is not true": (
        delivered(name="news:4:job_failed", event="job_failed", status="failed"),
        "a webhook tells what is true",
    ),
    "a webhook of no job": (
        delivered(name="x:4:job_finished", job="x"),
        "a webhook tells of a job",
    ),
    "a tick without a job": (is_final(f"tick-beat-{at(START + 5)}"), "a tick has exactly one job"),
    "a tick with two jobs": (
        lambda lines: [
            *lines,
            *(
                without(line, id=line.id.replace("beat", "beat-2"))
                for line in lines
                if isinstance(line, Final) and line.id == f"tick-beat-{at(START + 5)}"
            ),
        ],
        "a tick has exactly one job",
    ),
    "a schedule that has stopped": (
        lost(lambda line: getattr(line, "id", "").startswith("tick-pulse") and late(line)),
        "a schedule goes on",
    ),
    "a node that ended by itself": (also(Gone(t=START + 20, party="n1", code=70)), "a node stays up"),
    "a node that was surprised": (
        also(Complaint(t=START + 20, node="n1", text="KeyError: 1")),
        "a node is surprised by nothing",
    ),
}


def test_a_good_history_breaks_no_rule() -> None:
    assert judged(lambda lines: lines).violations == []


def test_it_does_not_matter_in_which_order_the_lines_come() -> None:
    assert judged(lambda lines: lines[::-1]).violations == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_breaks_the_rule_that_is_about_it(case: str) -> None:
    spoil, rule = WRONG[case]
    assert rule in rules(spoil)


EXCUSED: dict[str, Spoil] = {
    "unavailable during a fault": also(
        fault(START + 1.5, START + 2, "kill store", "store"),
        request(START + 5, "create", ONE, 503, "", code="unavailable"),
    ),
    "given to another when the lease had ended": also(offer(START + 3.5, "w1", AGAIN)),
    "given back by a link that broke": also(
        fault(START + 1, START + 1.2, "reset", "w0>n0"), offer(START + 1.25, "w1", AGAIN)
    ),
    "granted before a pause of the store, and over soon after it": also(
        fault(START + 0.6, START + 1.08, "pause store", "store"), offer(START + 2.6, "w1", AGAIN)
    ),
    "refused under the token of a grant that a crash undid": also(
        report(START + 1.25, "w0", TASK, "refused", token="t0", why="stale_lease")
    ),
    "refused while another copy was with a node that stood still": also(
        fault(START + 1.2, START + 2, "stop node", "n1"),
        report(START + 1.8, "w0", TASK, "", began=START + 1.25),
        report(START + 1.9, "w0", TASK, "refused", why="stale_lease"),
    ),
    "an equal answer to an equal result": also(report(START + 2, "w0", TASK, duplicate=True)),
    "the end of a node whose store was gone": also(
        fault(START + 10, START + 11, "kill store", "store"), Gone(t=START + 12, party="n0", code=1)
    ),
    "no answer soon after a fault": also(without(request(START + 42, "create", ONE, 0, ""), node="n1")),
    "no answer of a node that answers others": also(request(START + 2, "create", ONE, 0, "")),
}


@pytest.mark.parametrize("case", EXCUSED)
def test_what_is_allowed_breaks_no_rule(case: str) -> None:
    assert judged(EXCUSED[case]).violations == []


def test_a_run_that_was_too_easy_is_void_and_says_why() -> None:
    verdict = judged(lambda lines: lines)
    assert verdict.word == "void"
    assert "too few faults of the kind 'kill store': 0" in verdict.shortcomings
    assert "no task was handed out again" in verdict.shortcomings


def test_a_kind_of_fault_that_was_not_possible_is_not_missed() -> None:
    skipped = without(fault(START, START, "fill disk", "store"), skipped="only root may")
    sqlite = without(OPTIONS, store="sqlite")
    assert not [why for why in judged(also(skipped), sqlite).shortcomings if "fill disk" in why]
    assert [why for why in judged(also(), sqlite).shortcomings if "fill disk" in why]


def test_a_run_that_was_hard_enough_is_green() -> None:
    only = without(OPTIONS, only=("kill worker",), seconds=10.0)
    hard = also(
        offer(START + 4, "w1", AGAIN),
        report(START + 5, "w1", AGAIN, "refused", why="stale_lease"),
        request(START + 42, "create", ONE, 0, ""),
        request(START + 50, "repeat", NAP, 202, "nap"),
        fault(START + 45, START + 46, "kill worker", "w1"),
    )
    assert judged(hard, only).word == "green"


def test_the_timeline_tells_what_all_sides_saw_of_a_job_with_the_faults_between() -> None:
    lines = [*good(), fault(START + 1.2, START + 1.25, "reset", "w0>n0")]
    told = timeline(Evidence(lines, OPTIONS), "one")
    words = [line.split()[1] for line in told]
    assert words == ["fact", "fact", "request", "offer", "***", "report", "fact", "fact"]


def test_the_verdict_names_what_was_broken_and_tells_the_story() -> None:
    text = str(judged(is_final("one")))
    assert text.startswith("red: 2 violations")
    assert "an accepted job is there" in text
    assert "offer" in text
