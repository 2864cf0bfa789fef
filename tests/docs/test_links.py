"""What the documents point at is there: files, headings, and tests that prove what is promised."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Link, documents, links, name

PROVEN = ("docs/reference/features.md", "docs/explanation/guarantees.md", "README.md")
TEST = re.compile(r"(?:test|Test)\w*")


@cache
def headings(page: Path) -> frozenset[str]:
    """The anchors of the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return frozenset(title.strip().replace(" ", "-") for title in plain)


@cache
def named_in(file: Path) -> frozenset[str]:
    """The names of the tests, and of the classes of tests, in a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(
        node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, kinds)
    )


def dead(page: Path, link: Link) -> bool:
    """True when there is nothing where the link leads."""
    path, _, anchor = link.target.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in headings(target)


def unproven(page: Path, link: Link) -> bool:
    """True when the link is named like a test that its file does not have."""
    named = link.text.strip("`")
    target = (page.parent / link.target).resolve()
    return target.suffix == ".py" and bool(TEST.fullmatch(named)) and named not in named_in(target)


@pytest.mark.parametrize("page", documents(), ids=name)
def test_no_link_is_dead(page: Path) -> None:
    assert [link.target for link in links(page) if dead(page, link)] == []


@pytest.mark.parametrize("page", documents(), ids=name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    found = [link for link in links(page) if not dead(page, link)]
    assert [link.text for link in found if unproven(page, link)] == []


@pytest.mark.parametrize("page", PROVEN)
def test_a_page_of_promises_links_tests(page: str) -> None:
    assert any(link.target.endswith(".py") for link in links(ROOT / page))


def test_every_document_can_be_found_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = (link.target.partition("#")[0] for link in links(page))
        todo += [
            found for target in targets if target and (found := (page.parent / target).resolve()).is_file()
        ]
        todo += [
            found
            for link in links(page)
            if (found := (page.parent / link.target / "README.md").resolve()).is_file()
        ]
    assert sorted(name(page) for page in (ROOT / "docs").rglob("*.md") if page not in seen) == []


def test_a_dead_link_is_noticed() -> None:
    readme = ROOT / "README.md"
    assert dead(readme, Link("", "docs/nowhere.md"))
    assert dead(readme, Link("", "#no-such-heading"))
    assert dead(readme, Link("", "../elsewhere"))
    assert not dead(readme, Link("", "docs/README.md"))


def test_a_test_that_does_not_exist_is_noticed() -> None:
    here = "tests/docs/test_links.py"
    assert unproven(ROOT / "README.md", Link("`test_nothing`", here))
    assert not unproven(ROOT / "README.md", Link("`test_no_link_is_dead`", here))
