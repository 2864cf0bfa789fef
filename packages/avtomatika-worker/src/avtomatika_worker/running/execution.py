"""One task in the worker, from its arrival until its slot is free again."""

import asyncio
from collections.abc import Callable
from typing import Any

from avtomatika_worker.skills.declared import Declared
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.skills import Skill
from avtomatika_worker.skills.teller import Tell, Told
from avtomatika_worker.task_files import TaskFiles
from rxon.messages import TaskOffer

__all__ = ["Deliver", "Execution"]

Deliver = Callable[["Execution", Outcome | None], None]


class Execution:
    """One task in the worker. ``cancelled`` tells its handler to stop."""

    __slots__ = (
        "began",
        "cancelled",
        "declared",
        "deliver",
        "files",
        "offer",
        "over",
        "skill",
        "task",
        "tell",
        "thread",
        "unwanted",
    )

    def __init__(
        self, offer: TaskOffer, skill: Skill, declared: Declared, deliver: Deliver, tell: Tell
    ) -> None:
        self.offer = offer
        self.skill = skill
        self.declared = declared
        self.deliver = deliver
        self.tell = tell
        self.over = False
        self.began = False
        self.cancelled = False
        self.unwanted = False
        self.files: TaskFiles | None = None
        self.task: asyncio.Task[None] | None = None
        self.thread: asyncio.Future[Any] | None = None

    def is_cancelled(self) -> bool:
        """Whether the handler should stop, as nobody waits for its result."""
        return self.cancelled

    def hear(self, told: Told) -> None:
        """What the handler told is passed on, while somebody listens, if the skill may tell it."""
        if not self.over and not self.unwanted and self.declared.allows(told):
            self.tell(told)

    async def remove_files(self) -> None:
        """The folder of the task is gone; a thread that still runs is waited for."""
        if self.thread is not None:
            await asyncio.wait([self.thread])
        if self.files is not None:
            await self.files.remove()
