"""Files of a job are kept for a while after every end of it, and nobody has to ask for that (feature G1)."""

import pytest
from msgspec.structs import replace

from avtomatika.commands.outbox import FILES, plan
from avtomatika.kernel.decisions import Finish
from avtomatika.kernel.effects import PurgeFiles
from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.model import Job, Policy, Verdict
from avtomatika.kernel.progress import Moved
from avtomatika.kernel.time import Span, after
from tests.unit.kernel.samples import NOW, PHASES, J, a_job, decided, moved

KEEP = Span(5_000)


def keeping(job: Job) -> Job:
    """The job where workers may leave files."""
    return replace(job, policy=Policy(keep_files=KEEP))


def purges(move: Moved) -> list[PurgeFiles]:
    return [effect for effect in move.effects if isinstance(effect, PurgeFiles)]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_end_lets_the_files_go_when_they_were_kept_long_enough(verdict: Verdict) -> None:
    move = moved(keeping(a_job()), decided(Finish(verdict)))
    assert purges(move) == [PurgeFiles(J, after(NOW, KEEP))]


@pytest.mark.parametrize("phase", [name for name, job in PHASES.items() if not job.over])
def test_so_does_a_cancel_in_every_phase(phase: str) -> None:
    assert len(purges(moved(keeping(PHASES[phase]), CancelRequested("enough")))) == 1


def test_files_of_a_job_without_a_limit_stay() -> None:
    assert purges(moved(a_job(), decided(Finish()))) == []


def test_the_message_of_a_later_end_takes_the_place_of_an_earlier_one() -> None:
    (first,) = plan([PurgeFiles(J, NOW)]).send
    (later,) = plan([PurgeFiles(J, after(NOW, KEEP))]).send
    assert (first.id, first.queue, first.visible_at) == (later.id, FILES, NOW)
    assert later.visible_at == after(NOW, KEEP)
