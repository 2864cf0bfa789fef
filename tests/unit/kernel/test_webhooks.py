"""What the client's server is told, and that it is told of every end (feature C7)."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from avtomatika.commands.outbox import message_of, plan
from avtomatika.kernel.decisions import Ask, Finish
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.events import CancelRequested, Decided, HandlerCrashed, Requeued
from avtomatika.kernel.model import Failure, Job, Policy, Ready, Verdict
from avtomatika.kernel.progress import Moved
from tests.unit.kernel.samples import DECISIONS, NOW, PARENT, PHASES, URL, VERSION, J, a_job, decided, moved

FAILURE = Failure(code="X", message="m")


def hooked(job: Job) -> Job:
    """The job of a client that wants to be told."""
    return replace(job, webhook_url=URL, client="c")


def hooks(move: Moved) -> list[SendWebhook]:
    return [e for e in move.effects if isinstance(e, SendWebhook)]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_end_is_told_with_what_came_of_the_job(verdict: Verdict) -> None:
    move = moved(hooked(a_job()), decided(Finish(verdict, Raw(b"[1.0]"), FAILURE)))
    assert hooks(move) == [
        SendWebhook(
            job=J,
            version=VERSION + 1,
            url=URL,
            event=f"job_{verdict}",
            status=verdict,
            client="c",
            result=Raw(b"[1.0]"),
            failure=None if verdict is Verdict.FINISHED else FAILURE,
            at=NOW,
        )
    ]


@pytest.mark.parametrize("phase", [name for name, job in PHASES.items() if not job.over])
def test_a_cancel_is_told_from_every_phase(phase: str) -> None:
    move = moved(hooked(PHASES[phase]), CancelRequested("enough"))
    assert [(hook.event, hook.failure) for hook in hooks(move)] == [
        ("job_cancelled", Failure(code="CANCELLED", message="enough"))
    ]


def test_the_end_by_a_rule_is_told_like_the_end_by_a_decision() -> None:
    job = hooked(a_job(Ready(attempt=1), policy=Policy(handler_retries=0)))
    assert [h.event for h in hooks(moved(job, HandlerCrashed(VERSION, FAILURE)))] == ["job_quarantined"]


def test_nobody_is_told_when_the_client_named_no_server() -> None:
    assert hooks(moved(a_job(), decided(Finish()))) == []
    assert hooks(moved(a_job(), decided(Ask("mail", "?", DECISIONS)))) == []


def test_a_child_with_a_server_of_its_own_tells_both() -> None:
    move = moved(hooked(replace(a_job(), parent=PARENT)), decided(Finish()))
    assert [type(e).__name__ for e in move.effects] == ["StopRun", "TellParent", "SendWebhook"]


def test_each_end_of_a_revived_job_is_told_under_a_name_of_its_own() -> None:
    first = moved(hooked(a_job()), decided(Finish(Verdict.FAILED)))
    again = moved(first.job, Requeued()).job
    second = moved(again, Decided(again.version, Finish(Verdict.FAILED)))
    names = [message_of(hook).id for move in (first, second) for hook in hooks(move)]
    assert names == ["webhook:j:8:job_failed", "webhook:j:10:job_failed"]


def test_a_webhook_is_a_message_that_no_later_move_takes_back() -> None:
    asking = moved(hooked(a_job()), decided(Ask("mail", "?", DECISIONS)))
    ended = moved(asking.job, CancelRequested())
    out = plan((*asking.effects, *ended.effects))
    sent = [message.id for message in out.send]
    assert sent == ["webhook:j:8:approval_requested", "webhook:j:9:job_cancelled"]
    assert not [name for name in out.drop if name.startswith("webhook")]
