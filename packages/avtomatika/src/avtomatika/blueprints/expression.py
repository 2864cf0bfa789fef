"""The wider grammar of conditions: Python's comparisons over the fields of a job, and nothing else.

A field that is missing makes every comparison with it false, as does a pair of values that have no order.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from avtomatika.blueprints.context import JobContext

Operation = Callable[[Any, Any], Any]
Term = Callable[[JobContext], Any]

MAX_NODES: Final = 300
AREAS: Final = frozenset(JobContext.__dataclass_fields__) - {"actions", "data_stores", "task_files"}


class ForeignSyntax(Exception):
    """The text holds something that is no part of the grammar."""


class Missing:
    """The value of a field that is not there: false, and equal to nothing."""

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()


def _is_in(item: Any, whole: Any) -> bool:
    return item in whole


def _is_not_in(item: Any, whole: Any) -> bool:
    return item not in whole


_COMPARISONS: Final[Mapping[type[ast.cmpop], Operation]] = {
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.In: _is_in,
    ast.NotIn: _is_not_in,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Operation]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
}


def parse(text: str) -> ast.expr:
    """The syntax tree of *text*. Raises ForeignSyntax when it is none, or one with too many parts."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ForeignSyntax(f"it cannot be parsed: {error}") from error
    nodes = sum(1 for _ in ast.walk(tree))
    if nodes > MAX_NODES:
        raise ForeignSyntax(f"it has {nodes} parts, more than {MAX_NODES}")
    return tree


def term_of(node: ast.expr) -> Term:
    """What computes the value of *node* for a job. Raises ForeignSyntax."""
    builder = _BUILDERS.get(type(node))
    if builder is None:
        raise ForeignSyntax(f"{type(node).__name__} is not part of the grammar")
    return builder(node)


def compared(operation: Operation, left: Any, right: Any) -> bool:
    """The outcome of a comparison; false when a side is missing or the two have no order."""
    if left is MISSING or right is MISSING:
        return False
    try:
        return bool(operation(left, right))
    except TypeError:
        return False


def member(whole: Any, key: str | int) -> Any:
    """The member of an object or a list, or MISSING."""
    if isinstance(whole, Mapping):
        return _as_mapping(whole).get(key, MISSING)
    if isinstance(whole, list) and isinstance(key, int):
        items = _as_list(whole)
        return items[key] if -len(items) <= key < len(items) else MISSING
    return MISSING


def _as_mapping(value: Any) -> Mapping[Any, Any]:
    return value  # type: ignore[no-any-return]  # the caller has looked


def _as_list(value: Any) -> list[Any]:
    return value  # type: ignore[no-any-return]  # the caller has looked


def _constant(node: Any) -> Term:
    value = node.value
    if value is not None and not isinstance(value, str | int | float):
        raise ForeignSyntax(f"{value!r} is not part of the grammar")
    return lambda _: value


def _list(node: Any) -> Term:
    terms: list[Term] = [term_of(item) for item in node.elts]
    return lambda context: [term(context) for term in terms]


def _junction(node: Any) -> Term:
    terms: list[Term] = [term_of(value) for value in node.values]
    if isinstance(node.op, ast.And):
        return lambda context: all(term(context) for term in terms)
    return lambda context: any(term(context) for term in terms)


def _unary(node: Any) -> Term:
    term = term_of(node.operand)
    if isinstance(node.op, ast.Not):
        return lambda context: not term(context)
    if isinstance(node.op, ast.USub):
        return lambda context: _calculated(_ARITHMETIC[ast.Sub], 0, term(context))
    raise ForeignSyntax(f"{type(node.op).__name__} is not part of the grammar")


def _binary(node: Any) -> Term:
    symbol: ast.operator = node.op
    operation = _ARITHMETIC.get(type(symbol))
    if operation is None:
        raise ForeignSyntax(f"{type(node.op).__name__} is not part of the grammar")
    left, right = term_of(node.left), term_of(node.right)
    return lambda context: _calculated(operation, left(context), right(context))


def _calculated(operation: Operation, left: Any, right: Any) -> Any:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if not numbers:
        return MISSING
    try:
        return operation(left, right)
    except ArithmeticError:
        return MISSING


def _comparison(node: Any) -> Term:
    first = term_of(node.left)
    operations = [_COMPARISONS[type(op)] for op in node.ops]
    rest: Sequence[Term] = [term_of(right) for right in node.comparators]

    def holds(context: JobContext) -> bool:
        left = first(context)
        for operation, term in zip(operations, rest, strict=True):
            right = term(context)
            if not compared(operation, left, right):
                return False
            left = right
        return True

    return holds


def _field(node: Any) -> Term:
    """The value at a path such as `context.initial_data.a.b[0]`."""
    steps: list[str | int] = []
    while not isinstance(node, ast.Name):
        steps.insert(0, _step(node))
        node = node.value
    if node.id != "context" or steps[0] not in AREAS:
        raise ForeignSyntax(
            f"a field is written context.<area>.<field>; the areas are {', '.join(sorted(AREAS))}"
        )
    area, *path = steps

    def value(context: JobContext) -> Any:
        found: Any = getattr(context, str(area))
        for step in path:
            found = member(found, step)
        return found

    return value


def _step(node: Any) -> str | int:
    match node:
        case ast.Attribute(attr=name) if not name.startswith("_"):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() | int() as key)):
            return key
        case _:
            raise ForeignSyntax(f"{type(node).__name__} is not part of the grammar")


_BUILDERS: Final[Mapping[type[ast.expr], Callable[[Any], Term]]] = {
    ast.Attribute: _field,
    ast.BinOp: _binary,
    ast.BoolOp: _junction,
    ast.Compare: _comparison,
    ast.Constant: _constant,
    ast.List: _list,
    ast.Subscript: _field,
    ast.Tuple: _list,
    ast.UnaryOp: _unary,
}
