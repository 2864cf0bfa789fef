"""Models in memory, and the skills that are therefore ready at once."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["HotCache"]


class HotCache:
    """The set of loaded models. Safe to change from any thread.

    ``on_change`` is called, in that thread, when the set has become another one.
    """

    def __init__(self, dependencies: Mapping[str, Sequence[str]] | None = None) -> None:
        self.dependencies = {skill: tuple(models) for skill, models in (dependencies or {}).items()}
        self.on_change: Callable[[], None] = lambda: None
        self._models: frozenset[str] = frozenset()
        self._changing = threading.Lock()

    def add(self, model: str) -> None:
        """``model`` is loaded."""
        self._change(lambda models: models | {model})

    def remove(self, model: str) -> None:
        """``model`` is not loaded; it need not have been."""
        self._change(lambda models: models - {model})

    @property
    def models(self) -> frozenset[str]:
        """What is loaded now."""
        return self._models

    def hot_skills(self, skills: Iterable[str]) -> tuple[str, ...]:
        """Those of ``skills`` whose models are all loaded, sorted.

        A skill without dependencies is hot when its own name is in the cache.
        """
        models = self._models
        return tuple(sorted(skill for skill in skills if models and models.issuperset(self._needed(skill))))

    def _change(self, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        with self._changing:
            before, self._models = self._models, change(self._models)
        if self._models != before:
            self.on_change()

    def _needed(self, skill: str) -> tuple[str, ...]:
        return self.dependencies.get(skill) or (skill,)
