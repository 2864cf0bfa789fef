"""Where a handler can send its job: read from its source, which is never run (features A12 and A13)."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

Function = ast.FunctionDef | ast.AsyncFunctionDef

SAME: Final = ""
"""The target of a move that stays in its state."""


class Kind(StrEnum):
    """What makes a job move."""

    GO = "go"
    TASK = "task"
    EVENT = "event"
    AGGREGATION = "aggregation"
    BRANCH = "branch"
    CHILD = "child"
    APPROVAL = "approval"
    SLEEP = "sleep"
    SIGNAL = "signal"


class Move(msgspec.Struct, frozen=True):
    """The job can enter `target`, or `SAME`; `label` is the status, event or decision for it, or empty."""

    target: str
    label: str
    kind: Kind


class Scan(msgspec.Struct, frozen=True):
    """The moves that the source names, and whether these are all that there can be."""

    moves: tuple[Move, ...] = ()
    literal: bool = True


class Argument(msgspec.Struct, frozen=True):
    """An argument of an action that holds targets: a mapping to them, or one target alone."""

    name: str
    position: int | None
    kind: Kind
    several: bool = True
    label: str = ""


_STATE: Final = (Argument("state", 0, Kind.GO, several=False),)
_PAUSE: Final = (Argument("then", 1, Kind.SLEEP, several=False, label="slept"),)

ACTIONS: Final[Mapping[str, tuple[Argument, ...]]] = {
    "go_to": _STATE,
    "transition_to": _STATE,
    "dispatch_task": (
        Argument("transitions", 2, Kind.TASK),
        Argument("event_transitions", None, Kind.EVENT),
    ),
    "dispatch_parallel": (
        Argument("aggregate_into", 1, Kind.AGGREGATION, several=False, label="aggregate"),
        Argument("transitions", 3, Kind.BRANCH),
    ),
    "run_blueprint": (Argument("transitions", 2, Kind.CHILD),),
    "await_human_approval": (Argument("transitions", 2, Kind.APPROVAL),),
    "sleep": _PAUSE,
    "sleep_until": _PAUSE,
    "wait_for_event": (Argument("transitions", 1, Kind.SIGNAL, label="success"),),
    "finish": (),
    "fail": (),
    "send_event": (),
    "update_context": (),
}
"""Every action with the arguments that hold targets. One that is not here may lead anywhere."""


def scan(function: Callable[..., Any]) -> Scan:
    """The moves of a handler. One whose source cannot be read has none that are known, and is not literal."""
    if not _GIVERS & inspect.signature(function).parameters.keys():
        return Scan()
    tree = _source(function)
    if tree is None:
        return Scan(literal=False)
    reader = _Reader(tree)
    # A wrapper around the function may do more than its source says.
    literal = reader.literal and not hasattr(function, "__wrapped__")
    return Scan(tuple(dict.fromkeys(reader.moves)), literal)


def _source(function: Callable[..., Any]) -> Function | None:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        found = ast.parse(text).body[0]
    except (OSError, TypeError, ValueError, SyntaxError, IndexError, RecursionError):
        return None
    name = getattr(inspect.unwrap(function), "__name__", None)
    # Another name: the file is no longer the one that was loaded.
    return found if isinstance(found, Function) and found.name == name else None


_GIVERS: Final = frozenset({"actions", "context"})
"""The arguments by which a handler gets the actions. Without them it can only end a job."""


class _Reader:
    """Reads the body of a function; what it does with `actions` beyond calling it makes it not literal."""

    def __init__(self, function: Function) -> None:
        self.moves: list[Move] = []
        self.literal = True
        self._names = _GIVERS & _parameters(function)
        rebound = {name for node in function.body for name in _bound(node)} & self._names
        if rebound:
            self.literal = False
            self._names -= rebound
        for statement in function.body:
            self._read(statement, self._names)

    def _read(self, node: ast.AST, names: frozenset[str]) -> None:
        if isinstance(node, Function | ast.Lambda):
            hidden = _parameters(node)
            names = names - hidden
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if self._is_actions(node.func.value, names):
                self._call(node.func.attr, node)
                for part in (*node.args, *node.keywords):
                    self._read(part, names)
                return
        elif isinstance(node, ast.Attribute) and self._is_field(node, names):
            return
        elif isinstance(node, ast.Name) and node.id in names:
            self.literal = False  # it is handed on: who has it may go anywhere
        for part in ast.iter_child_nodes(node):
            self._read(part, names)

    @staticmethod
    def _is_actions(node: ast.expr, names: frozenset[str]) -> bool:
        match node:
            case ast.Name(id="actions"):
                return "actions" in names
            case ast.Attribute(value=ast.Name(id="context"), attr="actions"):
                return "context" in names
            case _:
                return False

    @staticmethod
    def _is_field(node: ast.Attribute, names: frozenset[str]) -> bool:
        """A field of the context other than its actions, or what was decided."""
        match node:
            case ast.Attribute(value=ast.Name(id="context"), attr=attr):
                return "context" in names and attr != "actions"
            case ast.Attribute(value=ast.Name(id="actions"), attr="decision"):
                return "actions" in names
            case _:
                return False

    def _call(self, action: str, call: ast.Call) -> None:
        known = ACTIONS.get(action)
        if known is None:
            self.literal = False
            return
        if any(keyword.arg is None for keyword in call.keywords):
            self.literal = False
        for argument in known:
            value = _given(call, argument)
            if isinstance(value, ast.Starred):
                self.literal = False
            else:
                self.moves.extend(self._targets(value, argument))

    def _targets(self, value: ast.expr | None, argument: Argument) -> Iterator[Move]:
        match value:
            case None | ast.Constant(value=None):
                if argument.kind is Kind.SLEEP:
                    yield Move(SAME, argument.label, argument.kind)
            case ast.Constant(value=str() as text) if argument.kind is Kind.SIGNAL:
                yield Move(text, argument.label, argument.kind)
            case ast.Dict() if argument.several:
                for key, target in zip(value.keys, value.values, strict=True):
                    yield from self._texts(target, _label(key), argument.kind)
                if None in value.keys:
                    self.literal = False
            case _ if argument.several:
                self.literal = False
            case _:
                yield from self._texts(value, argument.label, argument.kind)

    def _texts(self, value: ast.expr, label: str, kind: Kind) -> Iterator[Move]:
        match value:
            case ast.Constant(value=str() as text):
                yield Move(text, label, kind)
            case ast.IfExp(body=first, orelse=second):
                yield from self._texts(first, label, kind)
                yield from self._texts(second, label, kind)
            case _:
                self.literal = False


def _given(call: ast.Call, argument: Argument) -> ast.expr | None:
    """What the call gives for the argument; something starred when that cannot be told; else None."""
    for keyword in call.keywords:
        if keyword.arg == argument.name:
            return keyword.value
    if argument.position is None:
        return None
    first = call.args[: argument.position + 1]
    starred = next((each for each in first if isinstance(each, ast.Starred)), None)
    if starred is not None:
        return starred
    return first[argument.position] if len(first) > argument.position else None


def _label(key: ast.expr | None) -> str:
    return str(key.value) if isinstance(key, ast.Constant) else "…"


def _parameters(node: Function | ast.Lambda) -> set[str]:
    given = node.args
    listed = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    return {each.arg for each in listed if each is not None}


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that the statement gives a value, in the function itself or deeper."""
    for part in ast.walk(node):
        match part:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                yield name
            case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield (asname or name).partition(".")[0]
            case _:
                pass
