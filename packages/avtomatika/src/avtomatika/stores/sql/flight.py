"""What goes to disk together, and those who wait to hear of it."""

import asyncio
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from avtomatika.ports.store import Commit, KeyTaken
from avtomatika.stores.sql.file import translate
from avtomatika.stores.sql.journal import Batch, Change, Prepared
from avtomatika.stores.sql.lagging import Staged
from avtomatika.stores.sql.staging import Staging

Waiting = tuple[Commit | Change, "asyncio.Future[None]"]


class Flight(NamedTuple):
    """One batch: what was asked for, what was noted, and the rows that lagged."""

    asked: list[Waiting]
    noted: list[Prepared]
    lagging: Staged


def stage(staging: Staging, batch: Batch, waiting: Iterable[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Those whose work belongs to the batch, and those who have to wait for the next one.

    All others have heard why theirs cannot be done.
    """
    staged: list[Waiting] = []
    again: list[Waiting] = []
    for work, future in waiting:
        try:
            if isinstance(work, Change):
                staging.alter(batch, work)
            else:
                staging.stage(batch, work)
        except sqlite3.Error as error:
            refuse(future, translate(error))
        except KeyTaken as refusal:
            if batch.claim(refusal.claim.key) is None:
                refuse(future, refusal)
            else:  # the job that has the key is not on disk yet: nobody may be told of it
                again.append((work, future))
        except Exception as refusal:  # noqa: BLE001 - whoever asked for the commit hears of it
            refuse(future, refusal)
        else:
            staged.append((work, future))
    return staged, again


def refuse(future: "asyncio.Future[None]", refusal: Exception) -> None:
    """Who waits hears of it, if anybody does."""
    if not future.done():
        future.set_exception(refusal)
