"""A draft folds events into one commit: every fact, all effects, the branches that changed."""

from collections.abc import Sequence

from msgspec import Raw

from avtomatika.commands.draft import Draft
from avtomatika.commands.outbox import HISTORY, run_id, task_message_id
from avtomatika.kernel.decisions import Dispatch, FanOut, GoTo
from avtomatika.kernel.events import Decided, Submitted, TaskReported
from avtomatika.kernel.ids import JobId, task_id
from avtomatika.kernel.model import Order, Report, Status
from avtomatika.kernel.progress import Ignored, Moved
from avtomatika.kernel.time import Instant
from avtomatika.ports.fact import Record, Standing
from avtomatika.ports.store import Commit, Lease, Token
from avtomatika.stores.memory import MemoryStore
from tests.unit.blueprints.jobs import job

NOW = Instant(1_000)


def new() -> Draft:
    draft = Draft(job(version=0), NOW)
    draft.add([Submitted(draft.job)])
    return draft


def test_a_draft_that_nothing_happened_to_commits_acknowledgements_only() -> None:
    draft = Draft(job(), NOW)
    assert not draft.moved
    assert draft.commit() == Commit(now=NOW)


def test_an_event_that_changes_nothing_is_no_fact() -> None:
    draft = Draft(job(version=4), NOW)
    (outcome,) = draft.add([Decided(2, GoTo("x"))])
    assert isinstance(outcome, Ignored)
    assert not draft.moved


def test_events_are_folded_into_one_commit_with_all_their_facts() -> None:
    draft = new()
    outcomes = draft.add(
        [Decided(1, GoTo("next")), Decided(1, GoTo("late")), Decided(2, Dispatch(Order("s"), {}))]
    )
    assert [type(outcome) for outcome in outcomes] == [Moved, Ignored, Moved]
    commit = draft.commit()
    assert commit.job is draft.job
    assert (commit.expected, draft.job.version) == (0, 3)
    assert [fact.version for fact in commit.facts] == [1, 2, 3]
    assert {fact.at for fact in commit.facts} == {NOW}
    sent = {message.id for message in commit.send}
    assert sent == {task_message_id(task_id(JobId("j"), 3, 0))}
    assert not sent & set(commit.drop)


def test_the_run_that_is_due_is_known() -> None:
    draft = new()
    message = draft.run_message()
    assert message is not None
    assert message.id == run_id(JobId("j"), 1)
    draft.add([Decided(1, Dispatch(Order("s"), {}))])
    assert draft.run_message() is None


def test_a_run_that_the_sender_keeps_is_taken_not_sent() -> None:
    draft = new()
    message = draft.run_message()
    assert message is not None
    lease = Lease(message, "node:n", Token("t"), Instant(2_000), 1)
    commit = draft.commit(take=lease)
    assert commit.take == (lease,)
    assert commit.send == ()


def test_what_is_acknowledged_is_not_dropped_as_well() -> None:
    first = new()
    message = first.run_message()
    assert message is not None
    lease = Lease(message, "node:n", Token("t"), Instant(2_000), 1)
    draft = Draft(first.job, NOW)
    draft.add([Decided(1, GoTo("next"))])
    commit = draft.commit(ack=(lease,))
    assert commit.ack == (lease,)
    assert message.id not in commit.drop


async def test_reports_of_several_branches_fold_and_the_aggregation_sees_them() -> None:
    store = MemoryStore(now=lambda: NOW, tokens=lambda: "t")
    first = new()
    first.add([Decided(1, FanOut((Order("s"), Order("s")), "gather"))])
    await store.commit(first.commit())
    draft = Draft(first.job, NOW)
    names = [task_id(JobId("j"), 2, n) for n in range(2)]
    reports = [
        TaskReported(name, 1, 1, Report("success", data=Raw(b"%d" % n))) for n, name in enumerate(names)
    ]
    for report in (*reports, reports[0]):
        await draft.meet(report, store)
    outcomes = draft.add([*reports, reports[0]])
    assert [isinstance(outcome, Moved) for outcome in outcomes] == [True, True, False]
    gathered = await draft.gathered(store)
    assert [bytes(b.report.data) for b in gathered if b.report is not None] == [b"0", b"1"]
    commit = draft.commit()
    assert {branch.task.id for branch in commit.branches} == set(names)
    assert order_of([message.id for message in commit.send]) == [run_id(JobId("j"), 4)]


def order_of(names: Sequence[str]) -> list[str]:
    return sorted(names)


def test_an_exported_draft_sends_all_its_facts_in_one_message() -> None:
    draft = Draft(job(version=0, client="c"), NOW, exported=True)
    draft.add([Submitted(draft.job), Decided(1, GoTo("a")), Decided(1, GoTo("stale")), Decided(2, GoTo("b"))])
    commit = draft.commit()
    (message,) = (message for message in commit.send if message.queue == HISTORY)
    assert (message.id, message.job, message.visible_at) == ("history:j:1", "j", NOW)
    stood = (
        Standing("start", Status.PENDING),
        Standing("a", Status.RUNNING),
        Standing("b", Status.RUNNING),
    )
    assert message.body == Record(commit.facts, stood, "c", "b")


def test_each_commit_of_a_job_has_a_message_of_its_own() -> None:
    first = new()
    later = Draft(first.job, NOW, exported=True)
    later.add([Decided(1, GoTo("a"))])
    assert "history:j:2" in [message.id for message in later.commit().send]


def test_a_draft_that_is_not_exported_sends_no_facts() -> None:
    assert HISTORY not in [message.queue for message in new().commit().send]


def test_an_exported_draft_that_nothing_happened_to_sends_none() -> None:
    assert Draft(job(), NOW, exported=True).commit() == Commit(now=NOW)
