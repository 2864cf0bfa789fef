"""The page from which others write their side says what ours does."""

import re
from pathlib import Path

from rxon.canonical import MAX_BYTES, MAX_DEPTH, Form, canonical
from rxon.requirements import MAX_DEMANDED, MAX_DEVICES
from rxon.signing.chain import HOP_IGNORES, MAX_HOPS
from rxon.signing.content import EVENT_IGNORES, NEVER_SIGNED, TASK_IGNORES
from rxon.signing.freshness import WINDOW_SECONDS
from rxon.signing.message import EVERY_FORM
from rxon.signing.shared_key import sign

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rxon.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_the_example_is_right() -> None:
    found = re.search(
        r"object `([^`]+)` has the canonical bytes `([^`]+)`, and with\n"
        r"the key `([^`]+)` the signature `([^`]+)`",
        section("Signatures"),
    )
    assert found is not None
    text, message, key, signature = found.groups()
    assert canonical(text.encode()).decode() == message
    assert sign(text.encode(), key) == signature


def test_every_number_of_the_page_is_written_as_it_says() -> None:
    assert canonical(b"[1.0,1e2,-0.0,-0,1e-5,0.1,1234567890123456.5,1e-7,1.5e-10,1E+300]") == (
        b"[1,100,0,0,0.00001,0.1,1234567890123456.5,1e-7,1.5e-10,1e300]"
    )
    named = words(section("Canonical form"))
    assert {"0.00001", "0.1", "1234567890123456.5", "1e-7", "1.5e-10", "1e300"} <= named


def test_the_table_of_forms_is_that_of_the_code() -> None:
    body = b'{"n":null,"a":[null,1.0]}'
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (.+) \|$", section("Canonical form"), re.MULTILINE)
    assert [Form(name) for name, _ in rows] == list(EVERY_FORM) == list(Form)
    for name, cells in rows:
        objects, arrays, floats = cells.split(" | ")
        text = canonical(body, form=Form(name)).decode()
        assert ('"n":null' in text) is (objects == "stay")
        assert ("[null" in text) is (arrays == "stay")
        assert ("1.0" in text) is (floats == "stay")


def test_the_members_that_are_left_out_are_listed() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section("Signatures"), re.MULTILINE)
    left_out = {what.split(",")[0]: words(members) for what, members in rows}
    assert left_out["registration"] == NEVER_SIGNED
    assert left_out["event"] == EVENT_IGNORES
    assert left_out["task"] == TASK_IGNORES
    hops = section("Identity chains").partition("A hop signs")[2]
    assert words(hops) >= NEVER_SIGNED | HOP_IGNORES


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_BYTES // 2**20} MiB" in section("Canonical form")
    assert f"{MAX_DEPTH} levels" in section("Canonical form")
    assert f"at most {MAX_HOPS}" in section("Signatures")
    assert f"{WINDOW_SECONDS} seconds" in section("Signatures")
    assert f"up to {MAX_DEMANDED} devices" in section("Matching")
    assert f"first {MAX_DEVICES:,} are" in section("Matching")
