"""The pages that come from the code are up to date, and say something about everything that they list."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest

from tests.docs.pages import ROOT

HOW = "run: python docs/generate.py"


@pytest.fixture(scope="module", autouse=True)
def generator() -> Iterator[ModuleType]:
    """`docs/generate.py`, whose folder is on the path meanwhile."""
    folder = str(ROOT / "docs")
    sys.path.insert(0, folder)
    try:
        import generate  # type: ignore[import-not-found,unused-ignore]  # found by the path above

        yield generate
    finally:
        sys.path.remove(folder)


def missing(found: Mapping[str, object], described: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "undescribed": sorted(set(found) - set(described)),
        "unknown": sorted(set(described) - set(found)),
    }


def test_every_page_is_what_would_be_written_now(generator: ModuleType) -> None:
    old = [
        name for name, page in generator.PAGES.items() if (ROOT / "docs" / name).read_text("utf-8") != page()
    ]
    assert old == [], HOW


def test_every_setting_of_the_orchestrator_is_described() -> None:
    from generators.descriptions import OF_THE_ORCHESTRATOR

    from avtomatika.config import VARIABLES

    assert missing(VARIABLES, OF_THE_ORCHESTRATOR) == {"undescribed": [], "unknown": []}


def test_every_setting_of_the_worker_is_described() -> None:
    from generators.descriptions import OF_THE_WORKER
    from generators.settings import worker_variables

    assert missing(worker_variables(), OF_THE_WORKER) == {"undescribed": [], "unknown": []}


def test_every_public_name_of_the_worker_is_told_with_every_public_method(generator: ModuleType) -> None:
    import avtomatika_worker
    from avtomatika_worker import Worker

    page = generator.PAGES["reference/worker-api.md"]()
    names = {name for name in avtomatika_worker.__all__ if not name.startswith("__")}
    methods = {name for name, found in vars(Worker).items() if not name.startswith("_") and callable(found)}
    methods -= {name for name in methods if f"`{name}` is another name of" in page}
    assert {name for name in names if f"\n### {name}\n" not in page} == set()
    assert {name for name in methods if f"\n#### Worker.{name}\n" not in page} == set()


def test_the_state_machine_has_every_pair_of_phase_and_event() -> None:
    from generators.state_machine import EVENTS, PHASES, cases

    shown = {(type(case.job.phase), type(case.event)) for case in cases()}
    assert shown == {(phase, event) for phase in PHASES for event in EVENTS}


def test_every_code_of_a_failed_task_is_described() -> None:
    from generators.errors import CODES

    from rxon.vocabulary import ErrorCode

    assert set(CODES) == set(ErrorCode)


def test_every_code_of_retries_and_failures_has_the_remedy_that_the_page_says() -> None:
    from avtomatika.kernel.retry import Remedy, remedy
    from rxon.vocabulary import ErrorCode

    page = (ROOT / "docs/how-to/retries-and-failures.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    said = dict(zip((Remedy.RETRY, Remedy.QUARANTINE, Remedy.FAIL), rows, strict=True))
    wrong = [code.value for code in ErrorCode if f"`{code.value}`" not in said[remedy(code)]]
    assert wrong == []
