"""Planted faults, looked for one after the other."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.conduct import conduct
from tests.chaos.judging.verdict import Verdict, judge
from tests.chaos.lines import read
from tests.chaos.planted.fault import PLANTED, Planted
from tests.chaos.stores import NotPossible


def run(planted: Planted, folder: Path) -> Verdict:
    """What a run with the fault proved. Raises NotPossible."""
    return judge(read(conduct(planted.options, folder)), planted.options)


def found(planted: Planted, verdict: Verdict) -> bool:
    """Whether the run broke a rule that the fault is said to break."""
    return any(violation.rule in planted.breaks for violation in verdict.violations)


def find(names: Sequence[str]) -> int:
    """Each fault was planted in a run of its own; 1 when one of them was not found."""
    missed = 0
    for name in names:
        planted, began = PLANTED[name], time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"avtomatika-{name}-"))
        try:
            verdict = run(planted, folder)
        except NotPossible as why:
            print(f"{name:40} skipped: {why}", flush=True)
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        broken = Counter(violation.rule for violation in verdict.violations)
        hit = found(planted, verdict)
        missed += not hit
        word = "found" if hit else "NOT FOUND"
        told = ", ".join(f"{rule} ({count})" for rule, count in broken.most_common(4))
        print(f"{name:40} {word:10} {time.monotonic() - began:5.0f} s  {told}", flush=True)
    return 1 if missed else 0
