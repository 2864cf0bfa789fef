"""Tasks that the same workers may have wait in one queue; who may not have them is told why."""

from typing import Any

import pytest

from avtomatika.kernel.ids import TaskId
from avtomatika.kernel.model import Order, Task
from avtomatika.kernel.time import Span
from avtomatika.matching.compliance import Skill, WorkerProfile, reasons
from avtomatika.matching.placement import queue_of

DEMANDS: list[dict[str, Any]] = [
    {"skill_version": "1"},
    {"skill_version": "2"},
    {"skill_type": "1"},
    {"strategy": "cheapest"},
    {"strategy": "overflow"},
    {"max_cost": 1.0},
    {"max_cost": 2.0},
    {"skill_version": "1", "skill_type": "1"},
]


def placed(order: Order, avoid: str = "") -> str:
    return queue_of(Task(TaskId("j-1-0"), order, Span(1), avoid=avoid))


def test_a_task_without_demands_waits_under_the_name_of_its_skill() -> None:
    assert placed(Order("resize")) == "task:resize"


@pytest.mark.parametrize("other", [{"priority": 3.0}, {"retries": 1}, {"strategy": "no such"}])
def test_what_chooses_no_worker_does_not_part_tasks(other: dict[str, Any]) -> None:
    assert placed(Order("s", **other)) == placed(Order("s"))


def test_every_demand_makes_a_queue_of_its_own() -> None:
    queues = {placed(Order("s", **demand)) for demand in DEMANDS} | {placed(Order("s"))}
    assert len(queues) == len(DEMANDS) + 1
    assert all(queue.startswith("task:s") for queue in queues)


def test_the_same_demands_meet_in_the_same_queue() -> None:
    for demand in DEMANDS:
        assert placed(Order("s", **demand)) == placed(Order("s", priority=1.0, **demand))
        assert placed(Order("s", **demand)) != placed(Order("t", **demand))


WORKER = WorkerProfile("w", 1, {"s": Skill("s", "gpu", "2"), "bare": Skill("bare")}, {"s": 0.5})


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("s"), ()),
        (Order("bare"), ()),
        (Order("s", skill_version="2", skill_type="gpu", max_cost=0.5), ()),
        (Order("bare", max_cost=0.0), ()),
        (Order("other"), ("skill_not_offered",)),
        (Order("S"), ("skill_not_offered",)),
        (Order("s", skill_version="1"), ("skill_version_mismatch",)),
        (Order("bare", skill_version="1"), ("skill_version_mismatch",)),
        (Order("s", skill_type="cpu"), ("skill_type_mismatch",)),
        (Order("s", max_cost=0.4), ("too_expensive",)),
        (
            Order("s", skill_version="1", skill_type="cpu", max_cost=0.1),
            ("skill_version_mismatch", "skill_type_mismatch", "too_expensive"),
        ),
    ],
)
def test_every_reason_is_named(order: Order, why: tuple[str, ...]) -> None:
    assert reasons(order, WORKER) == why


def test_tasks_that_avoid_a_worker_are_apart_from_all_others() -> None:
    order = Order("s")
    assert len({placed(order), placed(order, "w1"), placed(order, "w2")}) == 3
