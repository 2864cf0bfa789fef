"""What is committed works anywhere: it names no package registry and no folder of somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Put together from pieces, or this file would be the first finding.
HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry." + "npmjs.org",
    "registry." + "yarnpkg.com",
    "npm" + "mirror.com",
    "proxy." + "golang.org",
    "index." + "crates.io",
    "static." + "crates.io",
    "docker" + ".io/",
]
FOLDERS = [
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/Us" + "ers/",
    "/opt/py" + "pi",
    "/opt/wh" + "eels",
    "/tmp/ba" + "sh_",
]
# A folder counts where the path is absolute: `framework/` and `/our/work/` do not.
FINDING = re.compile(
    "|".join([*map(re.escape, HOSTS), *(rf"(?<![\w./*<>{{}}-]){re.escape(f)}" for f in FOLDERS)])
)


def committed() -> list[Path]:
    """The files that git knows, or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def findings(text: str) -> list[str]:
    """The lines that name a registry or a folder of a machine."""
    return [
        f"{number}: {line.strip()[:160]}"
        for number, line in enumerate(text.splitlines(), 1)
        if FINDING.search(line)
    ]


def test_no_file_names_a_registry_or_a_machine() -> None:
    files = committed()
    assert ROOT / "dev.py" in files
    found = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := findings(path.read_text("utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize("piece", HOSTS + FOLDERS)
def test_a_registry_and_a_folder_are_noticed(piece: str) -> None:
    assert findings(f"first\nsee {piece}x\n") == [f"2: see {piece}x"]


def test_a_relative_path_is_fine() -> None:
    assert findings("frame" + "work/ net" + "work/a ./wo" + "rk/ docs/wo" + "rk/") == []
