"""Commits as rows, and batches of them as the columns that `commit_1` takes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId, opened_by
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Claim, Commit, Lease, Message, MessageId, Token
from avtomatika.stores.codec import decode_body, encode, encode_head

Cells = tuple[Any, ...]
Key = tuple[str, ...]

LATEST: Final = 2**62
"""No lease ends later."""

_NO_JOB: Final[Cells] = (None, 0, 0, None, None, None, None, None, None, None)
# How many columns the arrays of `commit_1` have after the job's, table by table.
_WIDTHS: Final = {
    "claim": 4,
    "ack": 2,
    "gone": 1,
    "robbed": 1,
    "put": 10,
    "fact": 3,
    "branch": 3,
    "close": 1,
    "label": 2,
    "item": 4,
}
_PARAMETERS: Final = 3 + len(_NO_JOB) + sum(_WIDTHS.values()) + len(_WIDTHS)
COMMIT: Final = f"SELECT * FROM commit_1({', '.join(f'${n}' for n in range(1, _PARAMETERS + 1))})"  # noqa: S608 - numbers only


class Prepared(msgspec.Struct, eq=False):
    """A commit as rows, and the keys of all that it reads to be judged, or writes."""

    now: Instant
    keys: frozenset[Key]
    job: Cells = _NO_JOB
    tables: dict[str, list[Cells]] = {}
    durable: bool = True
    size: int = 0


class Item(msgspec.Struct, frozen=True):
    """A value of the shelf to write, None to remove it; `stamp` is that of the one before, None for any."""

    store: str
    key: str
    stamp: int | None
    value: Raw | None


def prepare(commit: Commit, data: bytes | None) -> Prepared:
    """The commit as rows; *data* is what is new in the data of its user. Raises InvalidInput."""
    try:
        return _prepare(commit, data)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"This cannot be stored: {error}") from error


def prepare_item(item: Item) -> Prepared:
    """The change of one value as rows."""
    value = None if item.value is None else bytes(item.value)
    row = item.store.encode(), item.key.encode(), item.stamp, value
    keys: frozenset[Key] = frozenset([("item", item.store, item.key)])
    return Prepared(Instant(0), keys, tables={"item": [row]}, size=len(value or b""))


def _prepare(commit: Commit, data: bytes | None) -> Prepared:
    keys: set[Key] = set()
    tables: dict[str, list[Cells]] = {}
    job = commit.job
    if commit.claim is not None:
        keys.add(("claim", commit.claim.key))
        tables["claim"] = [_claim_row(commit.claim)]
    if commit.ack or commit.drop or commit.send or commit.take:
        _messages(commit, keys, tables)
    if commit.facts:
        tables["fact"] = [(fact.job.encode(), fact.version, encode(fact)) for fact in commit.facts]
    size = sum(len(row[2]) for row in tables.get("fact", ())) + len(data or b"")
    size += sum(len(row[5]) for row in tables.get("put", ()))
    if job is None:
        return Prepared(commit.now, frozenset(keys), _NO_JOB, tables, commit.durable, size)
    keys.add(("job", job.id))
    _beside(job, commit, tables)
    cells = (
        job.id.encode(),
        commit.expected,
        job.version,
        job.client.encode(),
        job.blueprint.encode(),
        job.status.value,
        job.created,
        job.updated if job.over else None,
        encode_head(job),
        data,
    )
    return Prepared(commit.now, frozenset(keys), cells, tables, commit.durable, size + len(cells[8]))


def _messages(commit: Commit, keys: set[Key], tables: dict[str, list[Cells]]) -> None:
    put: dict[MessageId, Cells] = {}
    for sent in commit.send:
        put.pop(sent.id, None)  # of several the last one counts, in its place
        put[sent.id] = (*_message_row(sent), None, None, None, 0)
    for lease in commit.take:
        put.pop(lease.message.id, None)
        until = max(-LATEST, min(lease.until, LATEST))
        held = lease.owner.encode(), lease.token.encode(), until, lease.delivery
        put[lease.message.id] = (*_message_row(lease.message), *held)
    acked = {lease.message.id for lease in commit.ack}
    gone = dict.fromkeys((*acked, *commit.drop))
    robbed = dict.fromkeys((*commit.drop, *(sent.id for sent in commit.send)))
    tables["ack"] = [(lease.message.id.encode(), lease.token.encode()) for lease in commit.ack]
    tables["gone"] = [(name.encode(),) for name in gone if name not in put]
    tables["robbed"] = [(name.encode(),) for name in robbed if name not in acked]
    tables["put"] = list(put.values())
    keys.update(("message", name) for name in (*gone, *put))


def _beside(job: Job, commit: Commit, tables: dict[str, list[Cells]]) -> None:
    if commit.branches and not job.over:
        branches: dict[tuple[int, int], bytes] = {}
        for branch in commit.branches:
            _, opened, place = opened_by(branch.task.id)
            if opened not in commit.close:
                branches[opened, place] = encode(branch)
        tables["branch"] = [(*place, body) for place, body in branches.items()]
    if commit.close:
        tables["close"] = [(opened,) for opened in commit.close]
    if job.labels and not commit.expected:
        tables["label"] = [(name.encode(), value.encode()) for name, value in job.labels.items()]


def _claim_row(claim: Claim) -> Cells:
    return claim.key.encode(), claim.fingerprint.encode(), claim.job.encode(), claim.expires_at


def _message_row(message: Message) -> Cells:
    return (
        message.id.encode(),
        message.queue.encode(),
        message.job.encode(),
        message.visible_at,
        float(message.priority),
        encode(message.body),
    )


def columns(batch: Sequence[Prepared]) -> list[Any]:
    """The batch as the values of `COMMIT` that follow its name."""
    values: list[Any] = [any(each.durable for each in batch), [each.now for each in batch]]
    values += map(list, zip(*(each.job for each in batch), strict=True))
    for table, width in _WIDTHS.items():
        rows = [(n, *row) for n, each in enumerate(batch, 1) for row in each.tables.get(table, ())]
        values += map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(width + 1))
    return values


def text(value: bytes) -> str:
    """What was kept as bytes."""
    return value.decode()


def key(value: str) -> bytes:
    """What the text would have been kept as; what cannot be kept is found nowhere."""
    return value.encode("utf-8", "surrogatepass")


def message_of(row: Any) -> Message:
    """The message of a row that has its columns."""
    return Message(
        MessageId(text(row["id"])),
        text(row["queue"]),
        JobId(text(row["job"])),
        Instant(row["visible_at"]),
        decode_body(row["body"]),
        row["priority"],
    )


def lease_of(row: Any, owner: str, until: Instant) -> Lease:
    """The lease of a row that has the columns of the message, a token and a number of deliveries."""
    return Lease(message_of(row), owner, Token(text(row["token"])), until, row["delivery"])


def moment(value: int) -> int:
    """The moment, or the last or first that the database knows."""
    return max(-LATEST, min(value, LATEST))


def sized(batch: Iterable[Prepared]) -> int:
    """About how many bytes the batch has."""
    return sum(each.size for each in batch)
