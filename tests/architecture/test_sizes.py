"""Modules and functions stay small enough to read in one sitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES = 300
FUNCTION_LINES = 60

# Modules that may be longer, each with the reason why splitting them would make them harder to read.
# The list may only shrink: an entry whose module fits again fails the test.
LONGER: dict[str, str] = {}


def sources() -> Iterator[Path]:
    return (path for path in sorted(ROOT.glob("packages/*/src/**/*.py")))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_length(text: str) -> int:
    return len(text.splitlines())


def long_functions(text: str) -> list[str]:
    """Name and length of each function that is over the limit; decorators do not count."""
    return [
        f"{node.name} (line {node.lineno}): {length} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def test_modules_are_short_or_on_the_list() -> None:
    lengths = {name(path): module_length(path.read_text("utf-8")) for path in sources()}
    assert lengths, "there is no source to measure"
    too_long = {path: lines for path, lines in lengths.items() if lines > MODULE_LINES and path not in LONGER}
    assert not too_long


def test_the_list_of_longer_modules_is_needed_and_explained() -> None:
    lengths = {
        path: module_length((ROOT / path).read_text("utf-8")) for path in LONGER if (ROOT / path).exists()
    }
    not_needed = [path for path in LONGER if lengths.get(path, 0) <= MODULE_LINES]
    unexplained = [path for path, reason in LONGER.items() if len(reason.split()) < 4]
    assert not not_needed
    assert not unexplained


def test_functions_are_short() -> None:
    found = {name(path): long for path in sources() if (long := long_functions(path.read_text("utf-8")))}
    assert not found


def test_a_long_function_is_noticed() -> None:
    def function(lines: int) -> str:
        return "class C:\n    @staticmethod\n    async def f():\n" + "        pass\n" * (lines - 1)

    assert long_functions(function(FUNCTION_LINES)) == []
    assert long_functions(function(FUNCTION_LINES + 1)) == [f"f (line 3): {FUNCTION_LINES + 1} lines"]
