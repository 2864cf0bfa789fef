"""What a program pays for the SDK: what is imported, how long that takes, and what is installed with it."""

import json
import re
import subprocess
import sys
from importlib.metadata import requires

ALLOWED = {
    "avtomatika_worker",
    "msgspec",
    "rxon",
    "typing_extensions",
}  # msgspec takes the last if it is there
IMPORTED = """
import json, sys, time
before = set(sys.modules)
began = time.process_time()
import avtomatika_worker
spent = time.process_time() - began
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([sorted(new), spent]))
"""


def imported() -> tuple[set[str], float]:
    """The packages that come with the SDK, and the processor time that importing them took."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, check=True, timeout=60)
    packages, spent = json.loads(done.stdout)
    return set(packages), spent


def needed(distribution: str) -> set[str]:
    """What is installed with it, without extras."""
    found = (line for line in requires(distribution) or () if "extra ==" not in line)
    return {name[0] for line in found if (name := re.match(r"[\w.-]+", line))}


def test_importing_the_sdk_brings_nothing_but_its_messages() -> None:
    packages, _ = imported()
    assert packages - set(sys.stdlib_module_names) - ALLOWED == set()
    heavy = {"email", "http", "multiprocessing", "sqlite3", "unittest", "xml"}
    assert packages & heavy == set()


def test_importing_the_sdk_takes_less_than_a_quarter_of_a_second() -> None:
    # Processor time, and the best of several: what others do on the machine does not count.
    assert min(imported()[1] for _ in range(3)) < 0.25


def test_little_is_installed_with_the_sdk() -> None:
    assert needed("avtomatika-worker") == {"aiohttp", "msgspec", "rxon"}
    assert needed("rxon") <= {"aiohttp", "msgspec"}
