"""`python3 dev.py chaos`: processes under fire, and what that proved.

dev.py chaos --store valkey --seconds 600 --seed 7
dev.py chaos --planted               # every fault that is planted is found
dev.py chaos --judge FOLDER          # judge the lines of a run once more
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import get_args

import msgspec

from tests.chaos.conduct import conduct
from tests.chaos.faults import KINDS
from tests.chaos.judging.verdict import Verdict, judge
from tests.chaos.lines import read
from tests.chaos.options import Kind, Options
from tests.chaos.planted import PLANTED
from tests.chaos.planted.planting import find
from tests.chaos.stores import NotPossible

SETTINGS = "options.json"


def run(options: Options, folder: Path) -> Verdict:
    """The run has been made and judged; the folder has the stories of violations. Raises NotPossible."""
    (folder / SETTINGS).write_bytes(msgspec.json.encode(options))
    verdict = judge(read(conduct(options, folder)), options)
    (folder / "verdict.txt").write_text("\n".join([verdict.summary, "", *map(str, verdict.stories)]))
    return verdict


def again(folder: Path) -> Verdict:
    """What a run proved whose folder was kept."""
    options = msgspec.json.decode((folder / SETTINGS).read_bytes(), type=Options)
    return judge(read(folder / "lines"), options)


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    made = argparse.ArgumentParser(prog="dev.py chaos", description=(__doc__ or "").split("\n\n")[0])
    made.add_argument("--store", choices=get_args(Kind), default="sqlite")
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--rate", type=float, default=100.0, help="jobs per second")
    made.add_argument("--orchestrators", type=int, default=3, help="with a store that several share")
    made.add_argument("--workers", type=int, default=10)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument(
        "--only", action="append", default=[], choices=[*KINDS], help="only faults of this kind"
    )
    made.add_argument("--plant", default="", choices=["", *PLANTED], help="a fault in the code")
    made.add_argument("--folder", type=Path, help="where the run is kept; else only what is not green is")
    made.add_argument("--planted", action="store_true", help="run every planted fault until it is found")
    made.add_argument("--judge", type=Path, metavar="FOLDER", help="judge a run that was kept")
    return made


def main() -> int:
    """0 when the run was green, or every planted fault was found; 1 when red; 3 when void or not possible."""
    args = parser().parse_args()
    if args.judge is not None:
        return told(again(args.judge))
    if args.planted:
        return find([args.plant] if args.plant else [*PLANTED])
    options = Options(
        store=args.store,
        seconds=args.seconds,
        rate=args.rate,
        orchestrators=args.orchestrators,
        workers=args.workers,
        seed=args.seed,
        only=tuple(args.only),
        plant=args.plant,
    )
    folder: Path = args.folder or Path(tempfile.mkdtemp(prefix="avtomatika-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        verdict = run(options, folder)
    except NotPossible as why:
        print(f"skipped: {why}")
        return 3
    if verdict.word == "green" and args.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the run is kept in {folder}")
    return told(verdict)


def told(verdict: Verdict) -> int:
    """The verdict is on the terminal; its exit code."""
    print(verdict, flush=True)
    return {"green": 0, "red": 1, "void": 3}[verdict.word]


if __name__ == "__main__":
    sys.exit(main())
