"""Jobs that ended are remembered up to a number and up to a size, but all that are not on disk yet."""

from msgspec import Raw

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Done, Failure, Job, Signal, Verdict
from avtomatika.stores.recent import Recent, weight
from avtomatika.testing.contract.values import a_job, over

MIB = 2**20
BIG = Raw(b'"' + b"x" * MIB + b'"')


def names(recent: Recent) -> list[str]:
    return [f"j{n}" for n in range(100) if recent.get(JobId(f"j{n}")) is not None]


def big(name: str) -> Job:
    return a_job(name, 2, phase=Done(Verdict.FINISHED), history={"a": BIG})


def test_no_more_jobs_are_remembered_than_asked_and_the_oldest_go_first() -> None:
    recent = Recent(3, 100 * MIB)
    for n in range(5):
        recent.put(over(f"j{n}"))
    assert names(recent) == ["j2", "j3", "j4"]


def test_no_more_bytes_are_remembered_than_asked() -> None:
    recent = Recent(1_000, 5 * MIB)
    for n in range(50):
        recent.put(big(f"j{n}"))
        assert recent.bytes <= 5 * MIB
    assert names(recent) == ["j46", "j47", "j48", "j49"]
    recent.put(over("j50"))
    assert len(names(recent)) == 5


def test_a_job_that_is_larger_than_all_is_not_remembered() -> None:
    recent = Recent(10, MIB)
    recent.put(big("j0"))
    assert names(recent) == []
    assert recent.bytes == 0


def test_what_is_forgotten_or_replaced_takes_no_place() -> None:
    recent = Recent(10, 100 * MIB)
    for _ in range(100):
        recent.put(big("j0"))
    assert recent.bytes == weight(big("j0"))
    recent.forget(JobId("j0"))
    recent.forget(JobId("j0"))
    assert (recent.bytes, len(recent)) == (0, 0)


def test_what_is_not_on_disk_is_remembered_whatever_comes() -> None:
    recent = Recent(2, MIB)
    held = big("j0")
    recent.put(held)
    recent.hold(held)
    for n in range(1, 20):
        recent.put(over(f"j{n}"))
    assert recent.get(JobId("j0")) is held
    recent.written(held)
    assert names(recent) == []


def test_a_job_that_moved_since_is_not_what_was_written() -> None:
    recent = Recent(10, 100 * MIB)
    first, second = over("j0", 2), over("j0", 3)
    recent.hold(first)
    recent.hold(second)
    recent.written(first)
    assert recent.get(JobId("j0")) is second
    recent.forget(JobId("j0"))
    recent.written(second)
    assert recent.get(JobId("j0")) is None


def test_everything_that_a_user_can_make_large_counts() -> None:
    jobs = [
        a_job(user_input={"a": BIG}),
        a_job(history={"a": BIG}),
        a_job(last=BIG),
        a_job(phase=Done(Verdict.FINISHED, BIG)),
        Job(**{**_fields(a_job()), "failure": Failure("C", "m" * MIB)}),
        Job(**{**_fields(a_job()), "failure": Failure("C", "m", details=BIG)}),
        Job(**{**_fields(a_job()), "signals": (Signal("n", BIG),)}),
    ]
    assert all(MIB < weight(job) < 1.1 * MIB for job in jobs)
    assert weight(a_job()) < MIB / 100


def _fields(job: Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__struct_fields__}
