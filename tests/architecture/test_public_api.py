"""What `__all__` promises can be imported, and is easy to find in it."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
PUBLIC = [
    "rxon",
    "avtomatika",
    "avtomatika.app_keys",
    "avtomatika.blueprint",
    "avtomatika.config",
    "avtomatika.context",
    "avtomatika.errors",
    "avtomatika.metrics",
    "avtomatika.storage",
    "avtomatika.telemetry",
    "avtomatika.testing",
    "avtomatika_worker",
    "avtomatika_worker.config",
    "avtomatika_worker.errors",
    "avtomatika_worker.task_files",
    "avtomatika_worker.testing",
    "avtomatika_worker.types",
    "avtomatika_worker.typing",
]


def exists(name: str) -> bool:
    path = name.replace(".", "/")
    return any(PACKAGES.glob(f"*/src/{path}.py")) or any(PACKAGES.glob(f"*/src/{path}/__init__.py"))


def problems(module: ModuleType) -> list[str]:
    """What is wrong with the module's `__all__`."""
    promised = getattr(module, "__all__", None)
    if not promised:
        return ["there is no __all__"]
    found = [f"not there: {name}" for name in promised if not hasattr(module, name)]
    found += [f"private: {name}" for name in promised if name.startswith("_") and name != "__version__"]
    if list(promised) != sorted(set(promised)):
        found.append(f"not sorted, or twice: the order is {sorted(set(promised))}")
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_sorted_and_importable(name: str) -> None:
    if not exists(name):
        pytest.skip(f"{name} is not written yet")
    assert problems(importlib.import_module(name)) == []


def test_a_broken_promise_is_noticed() -> None:
    module = ModuleType("broken")
    assert problems(module) == ["there is no __all__"]
    module.__dict__.update(__all__=["b", "a", "gone", "_own"], a=1, b=2, _own=3)
    assert problems(module) == [
        "not there: gone",
        "private: _own",
        "not sorted, or twice: the order is ['_own', 'a', 'b', 'gone']",
    ]
