"""The demo's programs, each called as the pipeline calls it."""

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from avtomatika.cli.demo import material
from avtomatika.cli.demo.material import checkout_of, chosen, program, suitable_bits

MARKDOWN = """# The title

Some words of [a link](https://example.com/page) and the bare https://example.com too.

Second
------

```
code
```
"""


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The path of imports is afterwards as it was."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield
    for name in ("analysis", "collecting", "report"):
        sys.modules.pop(name, None)


def analysed(tmp_path: Path, text: str | bytes, name: str = "a.md", bits: int = 64) -> dict[str, Any]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    row: dict[str, Any] = program("analysis").analyse({"path": str(path), "name": name}, bits)
    return row


def test_a_text_is_counted(tmp_path: Path) -> None:
    row = analysed(tmp_path, MARKDOWN)
    assert (row["title"], row["headings"], row["links"], row["code_blocks"]) == ("The title", 2, 2, 1)
    assert (row["lines"], row["kind"], row["bytes"]) == (10, "Markdown", len(MARKDOWN))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cat and the dog that is in the house with all of the others", "English"),
        ("der Hund und die Katze, das ist nicht ein Haus mit den anderen", "German"),
        ("x = 1", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_language_is_told_by_its_little_words(tmp_path: Path, text: str, expected: str) -> None:
    assert analysed(tmp_path, text)["language"] == expected


def test_bytes_that_are_no_utf8_are_read_all_the_same(tmp_path: Path) -> None:
    assert analysed(tmp_path, "Gr\u00fc\u00dfe".encode("latin-1"))["words"] == 1


def test_copies_are_alike_and_strangers_are_not(tmp_path: Path) -> None:
    analysis = program("analysis")
    one = " ".join(f"word{n}" for n in range(300)).translate(str.maketrans("0123456789", "abcdefghij"))
    most = one.replace("wordcaa", "other")
    strange = one.replace("word", "term")
    prints = [int(analysed(tmp_path, text, bits=1_024)["fingerprint"], 16) for text in (one, most, strange)]
    assert analysis.similarity(prints[0], prints[0], 1_024) == 1
    assert analysis.similarity(prints[0], prints[1], 1_024) > 0.8
    assert analysis.similarity(prints[0], prints[2], 1_024) < 0.2


def test_the_summary_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    collecting = program("collecting")
    rows = [analysed(tmp_path, MARKDOWN * n, f"{n}.md") for n in range(1, 6)]
    assert collecting.summarise(rows) == collecting.summarise(rows[::-1])
    changed = [*rows[1:], {**rows[0], "links": 99}]
    assert collecting.summarise(changed)["digest"] != collecting.summarise(rows)["digest"]


def test_listing_notes_what_it_leaves_out_and_ignores_hidden_folders_and_earlier_reports(
    tmp_path: Path,
) -> None:
    collecting = program("collecting")
    for name in ("b.txt", "inner/a.md", ".hidden/x.md", "node_modules/x.md", "out/report.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "large.log").write_text("x" * (collecting.LARGEST_FILE + 1))
    (tmp_path / "link.md").symlink_to(tmp_path / "b.txt")
    listing = collecting.find([str(tmp_path)], [], str(tmp_path / "out"))
    assert [file["name"] for file in listing["files"]] == ["b.txt", "inner/a.md"]
    assert listing["skipped"] == [
        {"name": "image.png", "why": "binary"},
        {"name": "large.log", "why": "larger than 1 MiB"},
    ]


class Resources(HTMLParser):
    """What a page would load from elsewhere, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def written(tmp_path: Path, name: str) -> tuple[dict[str, Any], Resources, str]:
    row = analysed(tmp_path, MARKDOWN, "plain.md")
    rows = [{**row, "name": name}]
    summary = program("collecting").summarise(rows)
    report = program("report").write(
        {
            "summary": summary,
            "workers": {"worker-1": 1},
            "skipped": [{"name": "x.png", "why": "binary"}],
            "rows": rows,
            "out": str(tmp_path / "out"),
        }
    )
    page = Resources()
    html = Path(report["html"]).read_text("utf-8")
    page.feed(html)
    return json.loads(Path(report["json"]).read_text("utf-8")), page, html


def test_the_report_shows_the_files_and_loads_nothing(tmp_path: Path) -> None:
    data, page, html = written(tmp_path, "folder/plain.md")
    assert page.loaded == []
    assert "url(" not in html
    assert "folder/plain.md" in page.text
    assert {"svg", "caption", "th"} <= set(page.tags)
    assert "prefers-color-scheme: dark" in html
    assert data["rows"][0]["name"] == "folder/plain.md"


def test_the_name_of_a_file_cannot_become_markup(tmp_path: Path) -> None:
    _, page, _ = written(tmp_path, "<script>alert(1)</script>.md")
    assert "script" not in page.tags
    assert "<script>alert(1)</script>.md" in page.text


def test_writing_the_report_again_leaves_no_drafts(tmp_path: Path) -> None:
    written(tmp_path, "a.md")
    written(tmp_path, "a.md")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]


def test_little_text_is_looked_at_more_thoroughly_than_much() -> None:
    assert suitable_bits(1_000) >= suitable_bits(10_000_000) >= 64
    assert suitable_bits(1) % 64 == 0


def test_installed_packages_are_the_material_where_there_is_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout_of(Path("/avtomatika")) is None
    monkeypatch.setattr(material, "checkout_of", lambda _: None)
    found = chosen(None, tmp_path)
    assert any(name.endswith("cli/demo/material.py") for name in found.files)
    assert found.said == "the installed packages"


def test_without_a_folder_the_documentation_is_the_material(tmp_path: Path) -> None:
    found = chosen(None, tmp_path)
    assert any(re.search(r"(README|CONTRIBUTING)\.md$", name) for name in found.files)
