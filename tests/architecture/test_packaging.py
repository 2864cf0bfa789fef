"""The three distributions fit together and install anywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMES = ("rxon", "avtomatika", "avtomatika-worker")


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


PROJECTS = {name: project(ROOT / "packages" / name)["project"] for name in NAMES}


def requirements() -> list[str]:
    """Every requirement of the distributions and of the developers."""
    found = [line for group in project(ROOT)["dependency-groups"].values() for line in group]
    for metadata in PROJECTS.values():
        found += metadata["dependencies"]
        found += [line for extra in metadata.get("optional-dependencies", {}).values() for line in extra]
    return found


def bare(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_versions_agree_and_dependants_accept_them() -> None:
    assert {metadata["version"].split(".")[0] for metadata in PROJECTS.values()} == {"2"}
    assert len({metadata["version"] for metadata in PROJECTS.values()}) == 1
    for name in ("avtomatika", "avtomatika-worker"):
        (needed,) = (line for line in PROJECTS[name]["dependencies"] if bare(line) == "rxon")
        assert re.sub(r"\[.*\]", "", needed) == "rxon>=2,<3"  # whatever extras it takes


def test_metadata_gives_lower_bounds_only() -> None:
    pinned = [line for line in requirements() if "==" in line.split(";")[0]]
    unbounded = [line for line in requirements() if ">=" not in line.split(";")[0]]
    assert pinned == []
    assert unbounded == []


def test_the_lock_holds_every_requirement_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = re.findall(
        r"^([a-z0-9.-]+)==\S+[^\n]*((?:\n +--hash=sha256:[0-9a-f]{64}(?: \\)?)+)$", text, re.MULTILINE
    )
    locked = {name for name, _ in blocks}
    assert len(blocks) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), "an entry has no hash"
    assert [line for line in requirements() if bare(line) not in locked | set(NAMES)] == []


def test_the_lock_gives_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert [
        line for line in text.splitlines() if "://" in line or "index-url" in line or "find-links" in line
    ] == []


def test_every_distribution_carries_the_licence() -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert b"Mozilla Public License Version 2.0" in licence
    assert all((ROOT / "packages" / name / "LICENSE").read_bytes() == licence for name in NAMES)
