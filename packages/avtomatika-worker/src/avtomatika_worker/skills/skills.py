"""What a worker can do: handlers, and the names under which tasks ask for them."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar, overload

import msgspec

from avtomatika_worker.errors import SkillError
from avtomatika_worker.skills.commands import CommandHandler
from avtomatika_worker.skills.declared import Declared
from avtomatika_worker.skills.invocation import Invocation
from avtomatika_worker.skills.middleware import Middleware
from avtomatika_worker.skills.process_messages import HandlerPlace, place_of
from rxon.messages import SkillInfo

__all__ = ["Catalog", "Skill", "SkillBlueprint"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Skill:
    """A handler with the name and the type that limits apply to. One with a ``place`` runs in a process."""

    __slots__ = ("info", "invocation", "name", "place", "timeout", "type")

    def __init__(
        self, info: SkillInfo, handler: Callable[..., Any], timeout: float | None, process: bool = False
    ) -> None:
        self.info = info
        self.name = info.name
        self.type = info.type or info.name
        self.timeout = timeout
        self.place: HandlerPlace | None = place_of(handler) if process else None
        self.invocation = Invocation(handler)


class SkillBlueprint:
    """A collection of skills that a worker includes; it knows no worker.

    ``skill_info_class`` describes those of which only the name is given.
    """

    def __init__(self, skill_info_class: type[SkillInfo] = SkillInfo) -> None:
        self._skills: dict[str, Skill] = {}
        self._info_class = skill_info_class

    def __iter__(self) -> Iterator[Skill]:
        return iter(self._skills.values())

    @overload
    def skill(self, info: Handler, /) -> Handler: ...

    @overload
    def skill(
        self,
        info: str | SkillInfo | type[SkillInfo] | None = None,
        *,
        timeout: float | None = None,
        process: bool = False,
        **fields: Any,
    ) -> Callable[[Handler], Handler]: ...

    def skill(
        self, info: Any = None, *, timeout: float | None = None, process: bool = False, **fields: Any
    ) -> Any:
        """Registers the decorated function; without a name, under its own.

        ``timeout`` is how many seconds a call may take before it fails with TIMEOUT_ERROR. With
        ``process``, the function is called in a process of its own, which ends with the task when
        that is cancelled or takes too long; it must be at the top of a module. ``fields`` are those
        of SkillInfo; others go into its ``properties``. Raises SkillError when the name is taken or
        the function needs something that tasks do not provide.
        """
        bare = callable(info) and not _is_info_class(info)

        def register(handler: Handler) -> Handler:
            described = self._describe(handler, None if bare else info)
            self._add(Skill(_with_fields(described, fields), handler, timeout, process))
            return handler

        return register(info) if bare else register

    def task(
        self,
        name: str,
        task_type: str | None = None,
        *,
        timeout: float | None = None,
        process: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Registers the decorated function as the skill ``name``; as ``skill`` does."""
        return self.skill(name, type=task_type, timeout=timeout, process=process)

    def include_blueprint(self, blueprint: "SkillBlueprint") -> None:
        """The skills of ``blueprint`` are here too. Raises SkillError when a name is taken."""
        for skill in blueprint:
            self._add(skill)

    def _describe(self, handler: Callable[..., Any], info: Any) -> SkillInfo:
        if isinstance(info, SkillInfo):
            return info
        kind = info if _is_info_class(info) else self._info_class
        own = next(field for field in msgspec.structs.fields(kind) if field.name == "name")
        if own.default is not msgspec.NODEFAULT and not isinstance(info, str):
            return msgspec.convert({}, kind)
        name = info if isinstance(info, str) else getattr(handler, "__name__", "")
        return kind(name, description=inspect.getdoc(handler))

    def _add(self, skill: Skill) -> None:
        if not skill.name:
            raise SkillError("A skill needs a name")
        if "," in skill.name:
            raise SkillError(f"The name of skill {skill.name!r} must not contain a comma")
        if skill.name in self._skills:
            raise SkillError(f"There is already a skill {skill.name!r}")
        self._skills[skill.name] = skill


class Catalog:
    """Skills by name, how they are described to orchestrators, and what is called besides them."""

    def __init__(
        self,
        skills: SkillBlueprint,
        commands: Mapping[str, CommandHandler] | None = None,
        middleware: Sequence[Middleware] = (),
        *,
        strict_events: bool = True,
    ) -> None:
        self.commands = dict(commands or {})
        self.middleware = tuple(middleware)
        self._skills = {skill.name: skill for skill in skills}
        self.names = tuple(self._skills)
        self.infos = tuple(skill.info for skill in skills)
        self._declared = {skill.name: Declared(skill.info, strict_events) for skill in skills}

    def get(self, name: str) -> Skill | None:
        """The skill, or None when there is none of that name."""
        return self._skills.get(name)

    def declared(self, skill: Skill) -> Declared:
        """What the schemas of the skill allow."""
        return self._declared[skill.name]

    def __iter__(self) -> Iterator[Skill]:
        return iter(self._skills.values())


def _is_info_class(info: Any) -> TypeGuard[type[SkillInfo]]:
    return isinstance(info, type) and issubclass(info, SkillInfo)


def _with_fields(info: SkillInfo, fields: dict[str, Any]) -> SkillInfo:
    """``info`` with ``fields``; what no SkillInfo has is among its properties."""
    if type(info) is not SkillInfo:
        own = {name: getattr(info, name) for name in info.__struct_fields__}
        fields = {
            name: value for name, value in own.items() if name not in SkillInfo.__struct_fields__
        } | fields
        info = SkillInfo(**{name: own[name] for name in SkillInfo.__struct_fields__})
    known = {name: value for name, value in fields.items() if name in SkillInfo.__struct_fields__}
    extra = {name: value for name, value in fields.items() if name not in known}
    if "output_statuses" in known and known["output_statuses"] is not None:
        known["output_statuses"] = tuple(known["output_statuses"])
    if extra:
        known["properties"] = {**(known.get("properties") or info.properties or {}), **extra}
    info = msgspec.structs.replace(info, **{k: v for k, v in known.items() if v is not None})
    return info if info.type else msgspec.structs.replace(info, type=info.name)
