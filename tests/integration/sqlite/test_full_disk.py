"""A disk that is really full: a small one in memory, mounted where nobody else sees it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2"'


def may_mount(folder: Path) -> bool:
    """True when this system lets us mount a disk for ourselves alone."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*ALONE, MOUNT, "sh", "1m", folder], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.parametrize("size", ["3m", "5m"])
def test_a_full_disk_refuses_loses_nothing_and_is_used_again_when_there_is_space(
    tmp_path: Path, size: str
) -> None:
    if not may_mount(tmp_path):
        pytest.skip("this system lets nobody mount a disk of his own")
    script = f'{MOUNT} && exec "$3" "$4" "$2"'
    program = Path(__file__).with_name("fill.py")
    done = subprocess.run(
        [*ALONE, script, "sh", size, tmp_path, sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.removeprefix("accepted ")) > 20
