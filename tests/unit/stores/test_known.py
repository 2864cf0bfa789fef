"""User data is written when it may not be there already, and only then."""

import msgspec
from msgspec import Raw

from avtomatika.kernel.model import Job
from avtomatika.ports.store import Commit
from avtomatika.stores.codec import encode_data
from avtomatika.stores.known import KnownJobs
from avtomatika.testing.contract.values import T0, a_job


def moved(job: Job, **changes: object) -> Job:
    return msgspec.structs.replace(job, version=job.version + 1, **changes)


def test_data_that_did_not_change_is_not_written_again() -> None:
    known, job = KnownJobs(), a_job()
    known.met(job)
    assert known.data(Commit(now=T0, job=moved(job), expected=job.version)) is None


def test_data_is_written_for_a_job_that_is_not_known_in_the_version_that_is_expected() -> None:
    known, job = KnownJobs(), a_job()
    later = moved(moved(job))
    assert known.data(Commit(now=T0, job=moved(job), expected=job.version)) == encode_data(job)
    known.met(job)
    assert known.data(Commit(now=T0, job=later, expected=later.version - 1)) == encode_data(job)
    assert known.data(Commit(now=T0)) is None


def test_data_that_changed_is_written() -> None:
    known, job = KnownJobs(), a_job()
    known.met(job)
    changed = moved(job, history={"a": Raw(b"1")})
    assert known.data(Commit(now=T0, job=changed, expected=job.version)) == encode_data(changed)
