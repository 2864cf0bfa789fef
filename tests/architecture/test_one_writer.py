"""Jobs change in one place: only `avtomatika.commands` commits to a store."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "packages" / "avtomatika" / "src" / "avtomatika"
# The stores implement the verb, and the test kit tries it out.
MAY_COMMIT = {"commands", "stores", "testing"}
COMMIT = re.compile(r"\bstore\w*(?:\(\))?\s*\.\s*commit\s*\(|\b_store\s*\.\s*commit\s*\(")


def commits(text: str) -> bool:
    """True if the text calls `commit` on a store."""
    return COMMIT.search(text) is not None


def room(path: Path) -> str:
    """The top-level module of avtomatika that the file belongs to."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def test_only_commands_commit_to_a_store() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert files, "there is no source to look at"
    elsewhere = [
        str(path.relative_to(SOURCE))
        for path in files
        if room(path) not in MAY_COMMIT and commits(path.read_text("utf-8"))
    ]
    assert elsewhere == []


def test_a_commit_is_noticed() -> None:
    assert commits("await store.commit(change)")
    assert commits("await self._store.commit(\n    change)")
    assert commits("self.stores[0]\n") is False
    assert commits("connection.commit()") is False
