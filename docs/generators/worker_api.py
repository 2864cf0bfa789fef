"""The public classes and functions of the worker SDK, from their docstrings."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import avtomatika_worker
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.environment import Variable
from generators.markdown import NOTE

MODULES = ("avtomatika_worker", "avtomatika_worker.testing", "avtomatika_worker.errors")
"""In this order; what a module only passes on from one before it is not told twice."""

WIDE = 100


def page() -> str:
    """The page as Markdown."""
    told: set[int] = set()
    parts = [part for name in MODULES for part in _module(name, told)]
    body = "\n\n".join(parts)
    return f"""# Worker API

{NOTE}

What programs import from the worker SDK, as its docstrings say it. How to use it is told in
[first worker](../tutorial/first-worker.md) and the how-to pages; which arguments a skill can have is in the
[Python API](api.md#arguments-of-skills), the settings are in [settings](settings.md#worker).

{body}
"""


def _module(name: str, told: set[int]) -> Iterator[str]:
    if not _exists(name):
        return
    module = importlib.import_module(name)
    yield f"## `{name}`\n\n{_doc(module)}"
    for public in module.__all__:
        found = getattr(module, public)
        if public.startswith("__") or id(found) in told or not callable(found):
            continue
        told.add(id(found))
        yield from _class(public, found) if inspect.isclass(found) else _function(public, found)


def _exists(name: str) -> bool:
    folder = Path(avtomatika_worker.__file__).parent
    rest = name.partition(".")[2]
    return not rest or (folder / f"{rest}.py").exists() or (folder / rest / "__init__.py").exists()


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    node = _node(kind, kind.__name__)
    assert isinstance(node, ast.ClassDef)
    bases = [base for base in map(ast.unparse, node.bases) if not base.startswith(("msgspec.", "NamedTuple"))]
    heading = f"### {name}\n\n{_doc(kind)}"
    if bases and not issubclass(kind, BaseException):
        heading += f"\n\nIt has everything that {' and '.join(f'`{base}`' for base in bases)} has."
    yield heading
    if kind is WorkerConfig:
        count = sum(isinstance(value, Variable) for value in vars(kind).values())
        yield f"Its {count} variables are attributes; they are listed in [settings](settings.md#worker)."
    made = next((part for part in node.body if _is_function(part, "__init__")), None)
    if made is not None and not issubclass(kind, BaseException):
        yield _code(_signature(name, made))
    elif _is_struct(kind):
        yield _code(f"{name}({_fields(node)})")
    for part in node.body:
        yield from _member(name, part)


def _member(owner: str, part: ast.stmt) -> Iterator[str]:
    """A method, a property, or another name of a method."""
    if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name) and part.value.id.islower():
        names = [target.id for target in part.targets if isinstance(target, ast.Name)]
        yield f"`{names[0]}` is another name of `{part.value.id}`."
    if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) or part.name.startswith("_"):
        return
    decorators = [ast.unparse(decorator) for decorator in part.decorator_list]
    if any(word in ("overload", f"{part.name}.setter") for word in decorators):
        return
    text = _plain(ast.get_docstring(part) or "")
    if any(word.endswith("property") for word in decorators):
        kind = f": {ast.unparse(part.returns)}" if part.returns else ""
        yield f"#### {owner}.{part.name}\n\n{_code(part.name + _unquoted(kind))}\n\n{text}"
    else:
        signature = _signature(part.name, part)
        if "asynccontextmanager" in decorators:
            signature = signature.replace("async ", "async with ", 1)
        yield f"#### {owner}.{part.name}\n\n{_code(signature)}\n\n{text}"


def _function(name: str, found: Any) -> Iterator[str]:
    node = _node(found, found.__name__)
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    yield f"### {name}\n\n{_code(_signature(name, node))}\n\n{_doc(found)}"


def _node(found: Any, name: str) -> ast.stmt:
    """Where it is defined."""
    module: ModuleType | None = inspect.getmodule(found)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    return next(part for part in tree.body if getattr(part, "name", None) == name)


def _is_function(part: ast.stmt, name: str) -> bool:
    return isinstance(part, ast.FunctionDef) and part.name == name


def _is_struct(kind: type[Any]) -> bool:
    return hasattr(kind, "__struct_fields__") or hasattr(kind, "_fields")


def _fields(node: ast.ClassDef) -> str:
    found = (ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign))
    return ", ".join(found)


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = node.args
    own = [part for part in arguments.args if part.arg not in ("self", "cls")]
    arguments = ast.arguments(
        **{**{field: getattr(arguments, field) for field in arguments._fields}, "args": own}
    )
    returns = "" if node.returns is None or name[0].isupper() else f" -> {ast.unparse(node.returns)}"
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return _unquoted(f"{prefix}{name}({ast.unparse(arguments)}){returns}")


def _unquoted(text: str) -> str:
    """Annotations without the quotes that put their evaluation off."""
    return re.sub(r"(?<=: |> )'([^']*)'", r"\1", text)


def _code(text: str) -> str:
    """A block of code, with a line for each argument where one line would be too long."""
    if "(" in text.partition(":")[0]:
        head, _, rest = text.partition("(")
        inner, _, tail = rest.rpartition(")")
        parts = [_spaced(part) for part in _split(inner)] if inner else []
        text = f"{head}({', '.join(parts)}){tail}"
        if len(text) > WIDE:
            text = f"{head}(\n" + "".join(f"    {part},\n" for part in parts) + f"){tail}"
    language = "text" if text[0].isupper() or text.startswith("async with ") else "python"
    return f"```{language}\n{_callable(text)}\n```"


def _spaced(argument: str) -> str:
    """As formatters write it: blanks around the `=` of an argument that has an annotation."""
    name, equals, default = argument.partition("=")
    return f"{name.rstrip()} = {default.lstrip()}" if equals and ":" in name else argument


def _split(arguments: str) -> list[str]:
    """At the commas that are not within brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(arguments):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            parts.append(arguments[start:index].strip())
            start = index + 1
    return [*parts, arguments[start:].strip()]


def _callable(text: str) -> str:
    """Python that can be compiled: the definition of a function, or of an attribute."""
    if "(" not in text.partition(":")[0]:
        return text
    if text[0].isupper() or text.startswith("async with "):
        return text
    word = "async def " if text.startswith("async ") else "def "
    return f"{word}{text.removeprefix('async ')}: ..."


def _doc(found: Any) -> str:
    return _plain(inspect.getdoc(found) or "")


def _plain(text: str) -> str:
    """A docstring as Markdown: code in single quotes of code; drawings stay drawings."""
    if "::\n" in text:
        before, _, drawing = text.partition("::\n")
        return f"{_plain(before).strip()}\n\n```text\n{inspect.cleandoc(drawing)}\n```".strip()
    return text.replace("``", "`")
