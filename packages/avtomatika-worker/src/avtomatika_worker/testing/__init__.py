"""Runs one skill of a worker in a test, without an orchestrator and without a network.

::

    run = await run_skill(worker, "resize", {"width": 3})
    assert run.data == {"path": "3.png"}
"""

from avtomatika_worker.testing.runs import RunningSkill, run_skill, start_skill
from avtomatika_worker.testing.seen import Event, Progress, SkillRun

__all__ = ["Event", "Progress", "RunningSkill", "SkillRun", "run_skill", "start_skill"]
