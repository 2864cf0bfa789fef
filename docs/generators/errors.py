"""Every error with its code, its meaning and its HTTP status."""

from collections.abc import Iterator

from avtomatika import errors as ours
from avtomatika.http.problems import STATUS
from avtomatika_worker import errors as of_the_worker
from generators.markdown import NOTE, code, table
from rxon import errors as of_the_wire
from rxon.vocabulary import ErrorCode

FRAMEWORK = {
    "invalid_request": "This is no HTTP request, or a line of its head is too long.",
    "method_not_allowed": "The path has no such method.",
    "internal_error": "Something that nobody foresaw; it is on the log under the request id.",
    "stale_lease": "The task is no longer leased to this worker.",
}
"""Codes of answers that no error of the tree stands for. A code that is in neither place is a KeyError."""

RESERVED = {"conflict", "overloaded", "unsupported_media_type"}
"""Statuses that are prepared for and that nothing answers yet."""

CODES = {
    ErrorCode.TRANSIENT_ERROR: "may succeed when tried again; also the code when a worker gave none",
    ErrorCode.PERMANENT_ERROR: "cannot succeed, however often it is tried",
    ErrorCode.INVALID_INPUT_ERROR: "the parameters are wrong",
    ErrorCode.INTEGRITY_MISMATCH_ERROR: "a payload is not what its digest says",
    ErrorCode.TIMEOUT_ERROR: "worked on for longer than allowed",
    ErrorCode.LATE_RESULT: "the result came after its time",
    ErrorCode.RESOURCE_EXHAUSTED_ERROR: "the worker ran out of memory, disk or another resource",
    ErrorCode.DEPENDENCY_ERROR: "something that the skill needs does not work",
    ErrorCode.SECURITY_ERROR: "refused for security",
    ErrorCode.INTERNAL_ERROR: "a mistake in the skill or the worker",
    ErrorCode.LIMIT_EXCEEDED_ERROR: "a limit was reached",
    ErrorCode.CONTRACT_VIOLATION_ERROR: "the data is not what the skill declares",
    ErrorCode.DEPENDENCY_MISSING_ERROR: "something that the skill needs is not installed",
}
"""What the codes of failed tasks mean."""

OF_JOBS = {
    "BLUEPRINT_ERROR": ("the blueprint broke a rule of handlers", "quarantined"),
    "HANDLER_ERROR": ("a handler raised", "tried again, then quarantined"),
    "HANDLER_ABANDONED": ("a handler ended its process, again and again", "quarantined"),
    "LOOP_DETECTED": ("more states were entered than `MAX_TRANSITIONS_PER_JOB`", "failed"),
    "UNHANDLED_STATUS": ("a task ended with a status that has no transition", "failed"),
    "CANCELLED": ("somebody ended the job", "cancelled"),
}
"""What `error.code` of a job can be besides the code of a task."""


def page() -> str:
    """The page as Markdown."""
    return f"""# Errors

{NOTE}

## Answers to clients

`error.code` of an answer, the HTTP status it comes with, and what it means. 429 and 503 say in `Retry-After`
when to come back.

{table(("Code", "Status", "Meaning"), _answers())}

Reserved, and not answered by anything yet: {", ".join(f"{code(c)} ({STATUS[c]})" for c in sorted(RESERVED))}.

## Answers to workers

`code` of an answer under `/_worker`, as `rxon.errors` raises it on the worker's side.

{table(("Code", "Status", "Raised as", "Meaning"), _wire())}

## Codes of failed tasks

What `error.code` of a result may be. What follows from each is in
[retries and failures](../how-to/retries-and-failures.md).

{table(("Code", "Meaning"), ((code(c.value), text) for c, text in CODES.items()))}

Any other text is a code as well, and counts as transient.

## Codes of jobs

`error.code` of a job is that of the task which failed, or one of these.

{table(("Code", "Meaning", "The job is"), ((code(c), *rest) for c, rest in OF_JOBS.items()))}

## Exceptions of `avtomatika`

{table(("Exception", "Code", "Meaning"), _exceptions(ours, "AvtomatikaError"))}

## Exceptions of `avtomatika_worker`

{table(("Exception", "Code", "Meaning"), _exceptions(of_the_worker, "WorkerError"))}

## Exit codes

`engine.run()` and `avtomatika serve` exit with 70 when the storage failed in a way that a restart does not
repair.
"""


def _answers() -> Iterator[tuple[str, str, str]]:
    meanings = {kind.code: _meaning(kind) for _, kind in _classes(ours)} | FRAMEWORK
    for name, status in sorted(STATUS.items(), key=lambda item: (item[1], item[0])):
        if name not in RESERVED:
            yield code(name), str(status), meanings[name]


def _wire() -> Iterator[tuple[str, str, str, str]]:
    found = [kind for _, kind in _classes(of_the_wire) if kind is not of_the_wire.RxonError]
    for kind in sorted(found, key=lambda kind: (kind.status, kind.code)):
        status = "none" if kind is of_the_wire.TransportError else str(kind.status)
        yield code(kind.code), status, code(kind.__name__), _meaning(kind)


def _exceptions(module: object, root: str) -> Iterator[tuple[str, str, str]]:
    for name, kind in sorted(_classes(module), key=lambda item: (item[0] != root, item[0])):
        yield code(name), code(kind.code), _meaning(kind)


def _classes(module: object) -> list[tuple[str, type]]:
    return [(name, getattr(module, name)) for name in module.__all__]


def _meaning(kind: type) -> str:
    text = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    return text if text.endswith(".") else text + "."
