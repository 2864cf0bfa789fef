"""No name of a file leads out of its job, however it is written (guarantee T22)."""

import random
from pathlib import Path, PureWindowsPath
from unicodedata import normalize
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avtomatika.blueprints.file_names import checked, is_kin, key_in, key_of, prefix_of
from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId, child_id

JOB = JobId("0190-aa")
UP = (
    "..",
    "%2e%2e",
    "%252e%252e",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "\u2025",
    "%2E.",
    ".%2e",
    "...",
    ".. ",
    "..;/..",
    "\ufe52\ufe52",
)
SLASH = ("/", "\\", "%2f", "%5c", "\uff0f", "%255c", "//", "\uff0f\uff0f")
START = (
    "",
    "/",
    "a/",
    "C:",
    "c:/",
    "\\\\host\\share\\",
    "./",
    "~/",
    "%00",
    "a\x00/",
    "file://",
    "s3://b/jobs/",
)


def traversals(count: int) -> list[str]:
    """Names that lead elsewhere, each in another way."""
    chance = random.Random(22)
    found = dict.fromkeys(
        [
            *("", ".", "..", "/", "/etc/passwd", "a//b", "a/", "a/./b", "C:x", "\\", "a\\..\\b", "a\x00.txt"),
            *("a\nb", "con.", "trailing.", "trailing ", "../" * 300 + "x", "x" * 4096, "a/" + "ü" * 101),
            *("\ud800", "a\u2028b", "a\x7fb", "a\x9fb", "a/C:/b"),
        ]
    )
    while len(found) < count:
        steps = chance.choices(UP, k=chance.randint(1, 6))
        name = chance.choice(START) + "".join(step + chance.choice(SLASH) for step in steps) + "etc/passwd"
        found[name] = None
    return list(found)


@pytest.mark.parametrize("ways", [1_000])
def test_names_that_lead_elsewhere_are_refused(ways: int) -> None:
    names = traversals(ways)
    assert len(names) == ways
    for name in names:
        with pytest.raises(InvalidInput) as refused:
            checked(name)
        assert refused.value.field == "filename"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a.txt",
        ".hidden",
        "a/b/c.tar.gz",
        "0190-aa-3-0/out.png",
        "ü ß.txt",
        "漢字",
        "100%",
        "12:30.log",
        "x#y?z&w=+",
    ],
)
def test_plain_names_are_taken_as_they_are(name: str) -> None:
    assert checked(name) == name
    assert key_of(JOB, name) == f"jobs/0190-aa/{name}"


@given(st.text(max_size=300) | st.text("./\\%25eEfFcC: \x00a", max_size=40))
def test_whatever_is_taken_stays_where_it_belongs(name: str) -> None:
    try:
        checked(name)
    except InvalidInput:
        return
    base = Path("/base/job")
    for text in (name, unquote(name), normalize("NFKC", name)):
        steps = text.split("/")
        assert not {"", ".", ".."} & set(steps)
        assert base in (base / text).parents
        assert not PureWindowsPath(text).drive
        assert ".." not in PureWindowsPath(text).parts
        assert "\x00" not in text


def test_a_folder_is_a_name_with_a_slash_behind_it() -> None:
    assert key_of(JOB, "out/") == "jobs/0190-aa/out/"
    with pytest.raises(InvalidInput):
        key_of(JOB, "out//")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://b/jobs/0190-aa/x",
        "s3://b/jobs/0190-aa/out/",
        f"s3://b/jobs/{child_id(JOB, 3)}/x",
        f"s3://b/jobs/{child_id(child_id(JOB, 3), 7)}/x",
    ],
)
def test_a_job_may_read_its_files_and_those_of_its_kin_by_their_uri(uri: str) -> None:
    assert f"s3://b/{key_in(JOB, uri, 'b')}" == uri


def test_a_child_may_read_the_files_of_its_parent_but_not_of_its_siblings() -> None:
    one, other = child_id(JOB, 3), child_id(JOB, 4)
    assert key_in(one, "s3://b/jobs/0190-aa/x", "b") == "jobs/0190-aa/x"
    assert is_kin(one, JOB)
    assert not is_kin(one, other)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://b/jobs/0190-ab/x",
        "s3://b/jobs/0190-a/x",
        "s3://b/jobs/0190-aax/x",
        "s3://other/jobs/0190-aa/x",
        "s3://b/else/0190-aa/x",
        "s3://b/jobs//x",
        "s3://b/jobs/0190-aa/../0190-ab/x",
        "s3://b/jobs/0190-aa/%2e%2e/x",
        "s3://b/jobs/",
        "s3://b",
        "s3://",
        "file:///etc/passwd",
        "https://example.org/x",
    ],
)
def test_files_of_anybody_else_are_not_read(uri: str) -> None:
    with pytest.raises(InvalidInput):
        key_in(JOB, uri, "b")


def test_the_files_of_one_job_are_never_those_of_another() -> None:
    assert not prefix_of(child_id(JOB, 1)).startswith(prefix_of(JOB))
