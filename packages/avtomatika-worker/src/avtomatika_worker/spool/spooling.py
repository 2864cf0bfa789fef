"""Opens the spool that the settings name."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.spool.journal import Journal
from avtomatika_worker.spool.spool import NoSpool, Spool, Spooled

__all__ = ["open_spool"]

_log = logging.getLogger(__name__)


def open_spool(config: WorkerConfig) -> tuple[Spool, Sequence[Spooled]]:
    """The spool of this worker, and the results that its process before has left in it.

    A worker without a name of its own has none, as nobody would look for it again. One that cannot
    have it, because of the disk or of another process of the same name, goes on without.
    """
    if not config.WORKER_SPOOL or not config.is_set("WORKER_ID"):
        return NoSpool(), ()
    folder = Path(config.WORKER_SPOOL_DIR) / config.WORKER_ID
    try:
        journal = Journal(folder, time.time())
    except BlockingIOError:
        _log.warning("Results are not kept: another process with the WORKER_ID keeps its in %s", folder)
        return NoSpool(), ()
    except OSError as error:
        _log.warning("Results are not kept, as %s cannot be used: %s", folder, error)
        return NoSpool(), ()
    known = {entry["url"].rstrip("/") for entry in config.ORCHESTRATORS}
    for spooled in journal.restored:
        if spooled.to in known:
            _log.info("The result of task %s was not acknowledged yet: it is sent", spooled.result.task_id)
        else:
            _log.warning(
                "The result of task %s belongs to %s, which is not configured: it is kept for a week",
                spooled.result.task_id,
                spooled.to,
            )
    return journal, journal.restored
