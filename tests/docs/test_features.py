"""The list of features is complete, and what it calls done is linked to a test."""

import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "features.md"
ROWS = {"A": 17, "B": 8, "C": 10, "D": 4, "E": 7, "F": 12, "H": 6, "I": 5}
"""How many rows each section has that is a table; the others are told in a sentence."""
ROW = re.compile(r"^\| (?P<row>[A-K]\d+) \| (?P<feature>.+?) \| (?P<state>.+) \|$", re.MULTILINE)


def rows() -> list[re.Match[str]]:
    return list(ROW.finditer(PAGE.read_text("utf-8")))


def test_every_row_is_there_once_and_in_order() -> None:
    listed = [found["row"] for found in rows() if found["row"][0] in ROWS]
    assert listed == [f"{letter}{n}" for letter, count in ROWS.items() for n in range(1, count + 1)]


def test_every_section_is_there() -> None:
    headings = re.findall(r"^## ([A-Z])\.", PAGE.read_text("utf-8"), re.MULTILINE)
    assert "".join(headings) == "ABCDEFGHIJK"


@pytest.mark.parametrize("found", rows(), ids=lambda found: found["row"])
def test_a_row_says_how_far_it_is_and_what_is_done_is_proven(found: re.Match[str]) -> None:
    state = re.match(r"\*\*(Done|Part|Later)\*\*", found["state"])
    assert state is not None
    assert state[1] != "Done" or "](../../tests/" in found["state"] or "](../explanation/" in found["state"]
