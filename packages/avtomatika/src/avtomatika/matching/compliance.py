"""Whether a worker meets what an order demands, and if not, why."""

from typing import Any

import msgspec

from avtomatika.kernel.model import NULL, Order
from rxon.requirements import Machine, decode, lacks


class Skill(msgspec.Struct, frozen=True, gc=False):
    """One thing that a worker can do."""

    name: str
    type: str | None = None
    version: str | None = None
    properties: dict[str, Any] = {}


class WorkerProfile(msgspec.Struct, frozen=True, gc=False):
    """What matching knows of a worker. `revision` differs whenever anything else does.

    `hot` are the skills that it can begin with at once, `capacity` is how many tasks it takes at most.
    """

    id: str
    revision: int
    skills: dict[str, Skill]
    costs: dict[str, float] = {}
    machine: Machine = Machine()
    hot: frozenset[str] = frozenset()
    capacity: int | None = None

    def cost(self, skill: str) -> float:
        """What a second of the skill costs; nothing when the worker named no price."""
        return max(0.0, self.costs.get(skill, 0.0))


def reasons(order: Order, worker: WorkerProfile) -> tuple[str, ...]:
    """Why *worker* may not have *order*; empty when it may."""
    skill = worker.skills.get(order.skill)
    if skill is None:
        return ("skill_not_offered",)
    found: list[str] = []
    if order.skill_version is not None and order.skill_version != skill.version:
        found.append("skill_version_mismatch")
    if order.skill_type is not None and order.skill_type != skill.type:
        found.append("skill_type_mismatch")
    if order.max_cost is not None and worker.cost(order.skill) > order.max_cost:
        found.append("too_expensive")
    if order.requirements != NULL:
        declared = {"name": skill.name, "type": skill.type, "version": skill.version, **skill.properties}
        found += lacks(decode(bytes(order.requirements)), worker.machine, declared)
    return tuple(found)
