"""The HTTP API: prose of `http.txt`, and every operation of the table that the routes come from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avtomatika import Blueprint
from avtomatika.http import desk_operations, file_operations, operations
from avtomatika.http.creation import creations
from avtomatika.http.operation import ALWAYS, Operation, Parameter, Security, codes
from avtomatika.http.problems import STATUS
from generators.markdown import NOTE, code, table

TEMPLATE = Path(__file__).with_name("http.txt")
WHO = {
    Security.ANYBODY: "anybody",
    Security.CLIENT: "client",
    Security.OPERATOR: "operator",
}
LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "default": "default {}",
}


def page() -> str:
    """The page as Markdown."""
    known = sorted(_operations(), key=lambda each: each[0].startswith("/_public/"))
    text = TEMPLATE.read_text("utf-8")
    endpoints = table(("Method and path", "What it does", "Who", "Answers"), map(_row, known))
    said = "\n\n".join(_section(path, each) for path, each in known)
    return text.replace("{note}", NOTE).replace("{endpoints}", endpoints).replace("{operations}", said)


def _operations() -> Iterator[tuple[str, Operation[Any]]]:
    """Every operation with its path, those of blueprints for one that is called BLUEPRINT."""
    for each in creations(Blueprint("BLUEPRINT", api_endpoint="/ENDPOINT"), True):
        yield f"/api/VERSION{each.path}", each
    for module in (operations, desk_operations, file_operations):
        for value in vars(module).values():
            if isinstance(value, tuple):
                yield from ((_path(op), op) for op in value if isinstance(op, Operation))


def _path(operation: Operation[Any]) -> str:
    return operation.path if operation.path.startswith("/_public/") else f"/api/v1{operation.path}"


def _row(known: tuple[str, Operation[Any]]) -> tuple[str, str, str, str]:
    path, operation = known
    statuses = sorted({answer.status for answer in operation.answers} | {*_errors(operation)})
    link = f"[{operation.summary}](#{operation.id.lower()})"
    return code(f"{operation.method} {path}"), link, WHO[operation.security], ", ".join(map(str, statuses))


def _section(path: str, operation: Operation[Any]) -> str:
    parts = [f"### {operation.id}", f"{code(f'{operation.method} {path}')}: {_begun(operation.summary)}."]
    if operation.description:
        parts.append(operation.description)
    if operation.parameters:
        rows = map(_parameter, operation.parameters)
        parts.append(table(("Parameter", "Where", "What", "May be"), rows))
    if operation.body is not None:
        needed = "" if operation.body.required else " May be left out."
        parts.append(f"Body: {operation.body.description}{needed}")
    parts.append(table(("Answer", "When"), _answers(operation)))
    return "\n\n".join(parts)


def _begun(text: str) -> str:
    return text[:1].lower() + text[1:]


def _parameter(parameter: Parameter) -> tuple[str, str, str, str]:
    place = parameter.place.value
    return code(parameter.name), place, parameter.description, _values(parameter.schema)


def _values(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if "anyOf" in schema:
        return str(schema.get("description", "")).rstrip(".").lower()
    kind = schema["type"]
    limits = (text.format(schema[name]) for name, text in LIMITS.items() if name in schema)
    plain = (text for text in limits if text != "1 characters or more")
    return ", ".join((kind if isinstance(kind, str) else " or ".join(kind), *plain))


def _answers(operation: Operation[Any]) -> Iterator[tuple[str, str]]:
    for answer in operation.answers:
        yield str(answer.status), answer.description
    for status, names in sorted(_errors(operation).items()):
        yield str(status), ", ".join(map(code, names))


def _errors(operation: Operation[Any]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in dict.fromkeys(codes(operation)):
        if name in ALWAYS[operation.security]:
            continue  # said once for all
        found.setdefault(STATUS[name], []).append(name)
    return found
