"""Conditions of `.when(...)`: a predicate, or text that is compiled once and never evaluated as code (A3).

Text is read in one of two grammars, told apart by its form:

* `context.<area>.<field> <op> <value>` as in 1.0b4 to 1.0b21, where the value is the rest of the line, in
  quotes or not, and one that reads as a number equals that number in a field that holds numbers (a value
  without quotes that looks like more of a condition is refused, where those releases took it for text);
* the wider grammar of `expression`.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from avtomatika.blueprints.context import JobContext
from avtomatika.blueprints.expression import AREAS, ForeignSyntax, Operation, compared, member, parse, term_of
from avtomatika.errors import BlueprintError

Condition = Callable[[JobContext], Any]

MAX_LENGTH: Final = 2_000

_OLD_FORM: Final = re.compile(r"context\.(\w+)\.(\w+)\s*(>=|<=|==|!=|>|<)\s*(.+)", re.DOTALL)
_OTHER_LANGUAGE: Final = re.compile(r"[()\[\]{}<>=!]|\b(and|or|not)\b")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_OPERATIONS: Final[Mapping[str, Operation]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def condition_of(source: str | Condition) -> Condition:
    """The condition that *source* is or says. Raises BlueprintError when it says none."""
    if callable(source):
        return source
    text = source.strip()
    if len(text) > MAX_LENGTH:
        raise BlueprintError(f"A condition has at most {MAX_LENGTH} characters, not {len(text)}.")
    old = _OLD_FORM.fullmatch(text)
    try:
        tree = parse(text)
        if old is None or not _compares_with_text(tree):
            return term_of(tree)
    except ForeignSyntax as error:
        if old is None or _OTHER_LANGUAGE.search(_unquoted(old[4])) is not None:
            raise BlueprintError(f"This is no condition: {text!r}: {error}.") from error
    return _old_condition(*old.groups())


def _compares_with_text(tree: ast.expr) -> bool:
    """True for one comparison with a text: only there do the grammars differ on what both can read."""
    match tree:
        case ast.Compare(ops=[_], comparators=[ast.Constant(value=str())]):
            return True
        case _:
            return False


def _old_condition(area: str, field: str, symbol: str, rest: str) -> Condition:
    if area not in AREAS:
        raise BlueprintError(f"A condition cannot look at context.{area}.")
    operation = _OPERATIONS[symbol]
    text = _unquoted(rest)
    number = float(text) if _NUMBER.fullmatch(text) else None

    def holds(context: JobContext) -> bool:
        value = member(getattr(context, area), field)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return compared(operation, value, number if is_number and number is not None else text)

    return holds


def _unquoted(rest: str) -> str:
    text = rest.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text
