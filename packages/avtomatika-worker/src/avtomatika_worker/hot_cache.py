"""Models in memory, and the skills that are therefore ready at once."""

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["HotCache"]


class HotCache:
    """The set of loaded models. Safe to change from any thread."""

    def __init__(self, dependencies: Mapping[str, Sequence[str]] | None = None) -> None:
        self.dependencies = {skill: tuple(models) for skill, models in (dependencies or {}).items()}
        self._models: frozenset[str] = frozenset()

    def add(self, model: str) -> None:
        """``model`` is loaded."""
        self._models |= {model}

    def remove(self, model: str) -> None:
        """``model`` is not loaded; it need not have been."""
        self._models -= {model}

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

    def _needed(self, skill: str) -> tuple[str, ...]:
        return self.dependencies.get(skill) or (skill,)
