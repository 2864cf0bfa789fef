"""The statements of the verbs. What is more than a look at a table is a function of the schema."""

from typing import Final

from avtomatika.kernel.model import Status, Verdict
from avtomatika.stores.postgres.driver import Row

OVER: Final = [Status(verdict.value).value for verdict in Verdict]
"""Where jobs stand that have ended."""

_MESSAGE: Final = "id, queue, job, visible_at, body, priority"

LOAD: Final = "SELECT head, data FROM job WHERE id = $1"
LEASE: Final = "SELECT * FROM lease_1($1, $2, $3, $4, $5, $6, $7)"
EXTEND: Final = "UPDATE message SET until = $4 WHERE id = $1 AND token = $2 AND until > $3 RETURNING delivery"
HELD: Final = f"SELECT {_MESSAGE}, owner, token, until, delivery FROM message WHERE id = $1 AND until > $2"  # noqa: S608 - constants only
CLOCK: Final = "SELECT clock_1()"
NEXT_DUE: Final = "SELECT available FROM message WHERE queue = $1 ORDER BY available LIMIT 1"
PEEK_FIRST: Final = f"SELECT {_MESSAGE} FROM message WHERE queue = $1 ORDER BY id LIMIT $2"  # noqa: S608 - constants only
PEEK: Final = f"SELECT {_MESSAGE} FROM message WHERE queue = $1 AND id > $3 ORDER BY id LIMIT $2"  # noqa: S608 - constants only
# From each queue to the next one above it: no message but the first of each is looked at.
QUEUES: Final = f"""
WITH RECURSIVE front AS (
  (SELECT queue, id FROM message WHERE queue >= $1 AND queue < $2 ORDER BY queue, available LIMIT 1)
  UNION ALL
  SELECT n.queue, n.id FROM front f CROSS JOIN LATERAL (
    SELECT queue, id FROM message WHERE queue > f.queue AND queue < $2 ORDER BY queue, available LIMIT 1) n
)
SELECT {", ".join(f"m.{column}" for column in _MESSAGE.split(", "))}
  FROM front f JOIN message m ON m.id = f.id
"""  # noqa: S608 - constants only
BACKLOG: Final = """
SELECT count(*) FROM (
  SELECT FROM message WHERE queue >= $1 AND queue < $2 AND (until IS NULL OR until <= $3) LIMIT $4) AS few
"""
BRANCH: Final = "SELECT body FROM branch WHERE job = $1 AND opened = $2 AND place = $3"
BRANCHES: Final = "SELECT body FROM branch WHERE job = $1 AND opened = $2 ORDER BY place"
FACTS: Final = "SELECT body FROM fact WHERE job = $1 AND version > $2 ORDER BY version LIMIT $3"
TALLY: Final = "SELECT status, sum(count) AS jobs FROM total GROUP BY status HAVING sum(count) <> 0"
TALLY_OF: Final = (
    "SELECT status, sum(count) AS jobs FROM tally WHERE client = $1 GROUP BY status HAVING sum(count) <> 0"
)
UNFINISHED: Final = "SELECT coalesce(sum(count), 0) FROM total WHERE status <> ALL($1::text[])"
UNFINISHED_OF: Final = (
    "SELECT coalesce(sum(count), 0) FROM tally WHERE client = $2 AND status <> ALL($1::text[])"
)
SWEEP: Final = "SELECT sweep_1($1, $2, $3)"
JOIN: Final = "UPDATE meta SET value = value + 1 WHERE key = 'nodes' RETURNING value"


def place(row: Row) -> int:
    """Where the row of `LEASE` comes in the order of the leases."""
    return int(row["place"])
