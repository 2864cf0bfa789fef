"""How a handler is called: which of its parameters gets what."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec

from avtomatika_worker.errors import InvalidInputError, SkillError
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.json_shape import is_object
from avtomatika_worker.skills.parameters import Converter, converter_for, decode_json, missing, within
from avtomatika_worker.skills.teller import Teller
from avtomatika_worker.task_files import TaskFiles
from rxon.messages import TaskOffer

__all__ = ["CallContext", "Invocation"]

_MISSING: Final = object()
_UNSUPPORTED: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class CallContext(NamedTuple):
    """What a handler may ask for besides the parameters of its task."""

    offer: TaskOffer
    hot_cache: HotCache
    is_cancelled: Callable[[], bool]
    files: Callable[[], TaskFiles]
    teller: Teller


_INJECTED: Final[dict[str, Callable[[CallContext], Any]]] = {
    "task_id": lambda context: context.offer.task_id,
    "job_id": lambda context: context.offer.job_id,
    "priority": lambda context: _whole(context.offer.priority),
    "deadline": lambda context: context.offer.deadline,
    "tracing_context": lambda context: context.offer.tracing_context or {},
    "metadata": lambda context: _object(context.offer.metadata),
    "security": lambda context: context.offer.security,
    "add_to_hot_cache": lambda context: context.hot_cache.add,
    "remove_from_hot_cache": lambda context: context.hot_cache.remove,
    "add_to_hot_skills": lambda context: context.hot_cache.add,
    "remove_from_hot_skills": lambda context: context.hot_cache.remove,
    "is_cancelled": lambda context: context.is_cancelled,
    "send_progress": lambda context: context.teller.send_progress,
    "send_event": lambda context: context.teller.send_event,
}


class _Argument(NamedTuple):
    name: str
    convert: Converter | None
    default: Any


class Invocation:
    """A handler, and the arguments it takes.

    ``params`` gets the whole parameters in the annotated shape, a parameter annotated TaskFiles
    the folder of the task, names such as ``task_id`` what they say, and any other parameter the
    member of that name in the parameters of the task. ``**kwargs`` gets everything that is
    injected by name. Raises SkillError for a function that cannot be called like this.
    ``wants`` are the annotations of the arguments that parameters of a task fill.
    """

    def __init__(self, handler: Callable[..., Any]) -> None:
        self._takes_all = False
        self._names: set[str] = set()
        self.wants: dict[str, Any] = {}
        call = handler if inspect.isroutine(handler) else getattr(handler, "__call__", handler)  # noqa: B004
        self.handler = handler
        self.is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
        self._params: _Argument | None = None
        self._files: list[str] = []
        self._injected: list[tuple[str, Callable[[CallContext], Any]]] = []
        self._members: list[_Argument] = []
        for parameter in inspect.signature(handler).parameters.values():
            self._plan(parameter, _annotation(handler, parameter))

    def given(self, context: CallContext) -> dict[str, Any]:
        """What the handler is called with besides the parameters of the task."""
        found: dict[str, Any] = {name: get(context) for name, get in self._injected}
        for name in self._files:
            found[name] = context.files()
        return found

    def arguments(self, params: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments for a call: those of ``given`` that it takes, and ``params``.

        Raises InvalidInputError when the parameters are wrong.
        """
        found = {name: value for name, value in given.items() if self._takes_all or name in self._names}
        if self._params is not None and self._params.name not in found:
            convert = self._params.convert
            found[self._params.name] = params if convert is None else convert(params)
        members = params if is_object(params) else {}
        for member in self._members:
            if member.name in found:
                continue
            value = members.get(member.name, member.default)
            if value is _MISSING:
                raise missing(member.name)
            found[member.name] = _converted(member, value)
        return found

    def _plan(self, parameter: inspect.Parameter, annotation: Any) -> None:
        name = parameter.name
        self._names.add(name)
        if parameter.kind in _UNSUPPORTED:
            raise SkillError(f"{self.handler!r} has positional-only parameters: tasks are called by name")
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            self._takes_all = True
            taken = {injected for injected, _ in self._injected}
            self._injected += [(key, get) for key, get in _INJECTED.items() if key not in taken]
        elif _is_task_files(annotation):
            self._files.append(name)
        elif name == "params":
            self._params = _Argument(name, converter_for(annotation), _MISSING)
            self.wants[name] = annotation
        elif name in _INJECTED:
            self._injected.append((name, _INJECTED[name]))
        else:
            default = _MISSING if parameter.default is inspect.Parameter.empty else parameter.default
            self._members.append(_Argument(name, converter_for(annotation), default))
            self.wants[name] = annotation


def _converted(member: _Argument, value: Any) -> Any:
    try:
        return value if member.convert is None else member.convert(value)
    except InvalidInputError as error:
        raise within(member.name, error) from error


def _annotation(handler: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The evaluated annotation; Any when there is none, its text when it cannot be evaluated."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(handler)
    namespace = dict(getattr(function, "__globals__", {}))
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is not None and cells:
        namespace.update(
            (name, cell.cell_contents) for name, cell in zip(code.co_freevars, cells, strict=False)
        )
    try:
        return eval(annotation, namespace)  # noqa: S307 - the user's own annotation, as typing does it
    except Exception:  # noqa: BLE001 - a name may exist for type checkers only
        return TaskFiles if annotation.endswith("TaskFiles") else Any


def _is_task_files(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return any(_is_task_files(part) for part in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, TaskFiles)


def _whole(number: float) -> float:
    """The number, as an int if it is one: handlers were promised ints before there were fractions."""
    return int(number) if number.is_integer() else number


def _object(raw: msgspec.Raw | None) -> Any:
    return {} if raw is None else decode_json(raw)
