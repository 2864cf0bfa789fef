#!/usr/bin/env python3
"""Everything a developer runs: `python3 dev.py COMMAND`.

Needs only Python 3.11 and its standard library. The first run makes `.venv` with the versions of
requirements.lock and the three packages in editable form; later runs see from a stamp that nothing changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "dev-stamp.json"
LOCK = ROOT / "requirements.lock"
LOCK_HEADER = "# The versions that development and tests use. Rewritten by `python3 dev.py lock`.\n"
PACKAGES = ("rxon", "avtomatika", "avtomatika-worker")
TESTS = ROOT / "tests"

CHECKED = ("unit", "architecture")  # run by `check`
PARALLEL = (
    "conformance",
    "contract",
    "integration",
    "migrations",
    "servers",
    "sim",
    "simulation",
)  # share nothing
ON_DEMAND = ("perf",)  # needs a quiet machine; run by hand or nightly
NO_TESTS = 5  # pytest: nothing was collected


class Failed(Exception):
    """Something that the developer has to read; printed without a traceback."""


# ---------------------------------------------------------------- running things


class Outcome(NamedTuple):
    """How one step ended; `code` is None where there was nothing to do."""

    name: str
    code: int | None
    seconds: float
    output: str = ""


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment with the programs of .venv first on the path."""
    env = dict(os.environ)
    env.pop("PYTHONHOME", None)
    env["VIRTUAL_ENV"] = str(VENV)
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', '')}"
    return {**env, **extra}


def call(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
    """The command has run in the root with its output on the terminal; the exit code is returned."""
    sys.stdout.flush()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env or environment(), check=False)
    return done.returncode


def try_quietly(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str | None:
    """The command has run; None if it succeeded, else what it said."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env=env or os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as problem:
        return str(problem)
    return None if done.returncode == 0 else done.stdout.strip() or f"exit code {done.returncode}"


def step(name: str, command: Sequence[str | Path]) -> Outcome:
    """The command has run with its output on the terminal."""
    print(f"\n== {name}: {' '.join(str(part) for part in command[1:])}")
    began = time.monotonic()
    return report(Outcome(name, call([PYTHON, *command[1:]]), time.monotonic() - began))


def captured(name: str, command: Sequence[str | Path]) -> Outcome:
    """The command has run out of sight; its output comes with the outcome."""
    began = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Outcome(name, done.returncode, time.monotonic() - began, done.stdout)


def report(outcome: Outcome) -> Outcome:
    """One line about the outcome is on the terminal; the outcome is returned."""
    word = {None: "skipped", 0: "ok"}.get(outcome.code, f"FAILED ({outcome.code})")
    print(f"-- {outcome.name:<22} {word:<12} {outcome.seconds:6.1f} s", flush=True)
    return outcome


def verdict(outcomes: Sequence[Outcome], began: float) -> int:
    """The summary is on the terminal; 0 if nothing failed, else 1."""
    failed = [outcome.name for outcome in outcomes if outcome.code]
    seconds = time.monotonic() - began
    print(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'all good'} ({seconds:.1f} s)", flush=True)
    return 1 if failed else 0


# ---------------------------------------------------------------- the environment


def wanted_stamp() -> dict[str, str]:
    """What .venv must have been made from to be usable as it is."""
    digest = hashlib.sha256()
    projects = [ROOT, *(ROOT / "packages" / name for name in PACKAGES)]
    for file in (LOCK, *(project / "pyproject.toml" for project in projects)):
        digest.update(file.read_bytes() + b"\0")
    return {"python": sys.version, "root": str(ROOT), "inputs": digest.hexdigest()}


def read_stamp() -> dict[str, str]:
    """What .venv was made from; empty if it is missing or unfinished."""
    try:
        found = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and PYTHON.exists() else {}


@contextmanager
def alone() -> Iterator[None]:
    """No other dev.py of this checkout makes .venv meanwhile (on Windows there is no such guard)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (ROOT / ".venv.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # the system lets go of it if we die
        yield


def ensure_environment() -> None:
    """.venv holds the locked versions and the three packages in editable form."""
    if read_stamp() == wanted_stamp():
        return
    with alone():
        wanted, found = wanted_stamp(), read_stamp()
        if found != wanted:
            make_environment(wanted, found)


def make_environment(wanted: dict[str, str], found: dict[str, str]) -> None:
    """.venv is what is wanted, and says so in its stamp; what was found is kept where it fits."""
    began = time.monotonic()
    print("making .venv (only after changes of the lock, a pyproject.toml, or Python)", flush=True)
    STAMP.unlink(missing_ok=True)
    # A Python of another version, or a checkout that has moved, leaves scripts that point elsewhere.
    reusable = (found.get("python"), found.get("root")) == (wanted["python"], wanted["root"])
    if not (reusable and PYTHON.exists()):
        make_venv()
    uv = find_uv()
    if uv is None or not install_with_uv(uv):
        install_with_pip()
    STAMP.write_text(json.dumps(wanted, indent=1), "utf-8")
    print(f".venv is ready ({time.monotonic() - began:.1f} s)", flush=True)


def make_venv() -> None:
    """.venv is an empty environment of this Python, with pip in it where that is possible."""
    ways: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", "--clear", VENV],
        [sys.executable, "-m", "virtualenv", "--clear", "-p", sys.executable, VENV],
        ["virtualenv", "--clear", "-p", sys.executable, VENV],
        # Last, because such an environment needs a pip or a uv from elsewhere (see `find_pip`, `find_uv`).
        [sys.executable, "-m", "venv", "--clear", "--without-pip", VENV],
    ]
    said = ["no virtual environment could be made:"]
    for way in ways:
        problem = attempt(way)
        if problem is None:
            return
        said.append(problem)
    raise Failed("\n\n".join([*said, HOW_TO_GET_VENV]))


def attempt(way: Sequence[str | Path]) -> str | None:
    """One way to make .venv was tried; None if .venv now has a Python, else what went wrong."""
    problem = try_quietly(way)
    if problem is None and PYTHON.exists():
        return None
    return f"$ {' '.join(str(part) for part in way)}\n{problem}"


HOW_TO_GET_VENV = (
    "Install one of: the `venv` package of your system's Python (Debian, Ubuntu: apt install python3-venv),\n"
    "`pip install virtualenv`, or uv; then run this again."
)


def find_pip() -> list[str | Path]:
    """A pip command that installs into .venv."""
    into: list[str | Path] = ["--python", PYTHON]  # for a pip that lives elsewhere
    ways: list[list[str | Path]] = [
        [PYTHON, "-m", "pip"],
        [sys.executable, "-m", "pip", *into],
        ["pip3", *into],
        ["pip", *into],
    ]
    for way in ways:
        if try_quietly([*way, "--version"]) is None:
            return way
    raise Failed("there is no pip for .venv.\n" + HOW_TO_GET_VENV)


def find_uv() -> str | Path | None:
    """A uv that runs: that of .venv (installed now if need be) or one on the path; None if there is none."""
    own = BIN / ("uv.exe" if os.name == "nt" else "uv")
    if try_quietly([own, "--version"]) is None:
        return own
    try:
        problem = try_quietly([*find_pip(), "install", "--quiet", "uv>=0.5"])
    except Failed as no_pip:
        problem = str(no_pip)
    if problem is None and own.exists():
        return own
    if elsewhere := shutil.which("uv"):
        return elsewhere
    print(f"uv could not be installed, going on with pip:\n{problem}", flush=True)
    return None


def uv_environment() -> dict[str, str]:
    """Our environment, in which uv hears what pip was told, unless it was told something else."""
    env = environment()
    for theirs, ours in (
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("PIP_NO_INDEX", "UV_NO_INDEX"),
        ("PIP_CERT", "SSL_CERT_FILE"),
        ("PIP_DEFAULT_TIMEOUT", "UV_HTTP_TIMEOUT"),
    ):
        if env.get(theirs):
            env.setdefault(ours, env[theirs])
    if links := env.get("PIP_FIND_LINKS"):
        env.setdefault("UV_FIND_LINKS", ",".join(links.split()))
    return env


def editable() -> list[str | Path]:
    """The arguments that install the three packages from this checkout."""
    return [part for name in PACKAGES for part in ("-e", ROOT / "packages" / name)]


def install_with_uv(uv: str | Path) -> bool:
    """The lock and the packages are installed by uv; False if that failed."""
    into = [uv, "pip", "install", "--quiet", "--python", PYTHON]
    env = uv_environment()
    if call([*into, "--require-hashes", "-r", LOCK], env) == 0:
        # The build backend is in the lock too: nothing outside it is fetched.
        return call([*into, "--no-deps", "--no-build-isolation", *editable()], env) == 0
    print("uv could not install the lock, going on with pip", flush=True)
    return False


def install_with_pip() -> None:
    """The lock and the packages are installed by pip alone."""
    pip = find_pip()
    if call([*pip, "install", "--quiet", "--require-hashes", "-r", LOCK]):
        raise Failed("pip could not install requirements.lock (see above)")
    if call([*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", *editable()]):
        raise Failed("pip could not install the packages of this checkout (see above)")


# ---------------------------------------------------------------- commands


def tool(name: str) -> Path:
    """Where a console script of .venv lives."""
    return BIN / (f"{name}.exe" if os.name == "nt" else name)


def sources() -> list[str]:
    """The source folders that exist, relative to the root."""
    folders = (f"packages/{name}/src" for name in PACKAGES)
    return [folder for folder in folders if any((ROOT / folder).glob("*/*.py"))]


def demo(args: Sequence[str]) -> int:
    """Run `avtomatika demo` with the given arguments."""
    return call([tool("avtomatika"), "demo", *args])


def up(args: Sequence[str]) -> int:
    """Run `avtomatika dev`: a server for work on blueprints, with the given arguments."""
    return call([tool("avtomatika"), "dev", *args])


def fmt(args: Sequence[str]) -> int:
    """Format the code and repair what ruff can repair."""
    repaired = call([tool("ruff"), "check", "--fix", *args])
    return call([tool("ruff"), "format", *args]) or repaired


def check_steps() -> dict[str, list[str | Path]]:
    """Name and command of each step of `check`, the slow ones first."""
    found = sources()
    suites = [f"tests/{suite}" for suite in CHECKED if (TESTS / suite).is_dir()]
    return {
        "basedpyright": [tool("basedpyright"), "--project", "pyproject.toml", "--threads", "2"],
        "mypy": [tool("mypy"), *found, "examples"],
        "unit, architecture": [PYTHON, "-m", "pytest", "-q", *suites],
        "imports": [PYTHON, "tests/architecture/check_imports.py"],
        "docstrings": [tool("interrogate"), "-c", "pyproject.toml", *found],
        "lint": [tool("ruff"), "check"],
        "format": [tool("ruff"), "format", "--check"],
    }


def run_check() -> list[Outcome]:
    """Every step of `check` has run, several at a time; the output of each is on the terminal."""
    outcomes = []
    with ThreadPoolExecutor(max_workers=max(3, os.cpu_count() or 1)) as pool:
        running = [pool.submit(captured, name, command) for name, command in check_steps().items()]
        for done in as_completed(running):
            outcome = done.result()
            print(f"\n== {outcome.name}\n{outcome.output.rstrip()}")
            outcomes.append(report(outcome))
    return outcomes


def check(args: Sequence[str]) -> int:
    """Check format, lint, types, imports, docstrings, unit and architecture tests (under a minute)."""
    began = time.monotonic()
    return verdict(run_check(), began)


def suites() -> tuple[list[str], list[str]]:
    """What `test` runs after `check`: paths that may share the machine, and paths that run one by one."""
    found = sorted(
        path.name
        for path in TESTS.iterdir()
        if (path.is_dir() and any(path.rglob("test_*.py"))) or (path.is_file() and path.match("test_*.py"))
    )
    left = [name for name in found if name not in CHECKED + ON_DEMAND]
    return [f"tests/{n}" for n in left if n in PARALLEL], [f"tests/{n}" for n in left if n not in PARALLEL]


def run_suite(name: str, paths: Sequence[str], *options: str) -> Outcome:
    """The tests under the paths have run; no paths and no tests count as skipped."""
    if not paths:
        return report(Outcome(name, None, 0.0))
    outcome = step(name, [PYTHON, "-m", "pytest", "-q", *options, *paths])
    return outcome._replace(code=None) if outcome.code == NO_TESTS else outcome


def test(args: Sequence[str]) -> int:
    """Run `check`, then every other suite under tests/ but those that are run on demand (perf)."""
    began = time.monotonic()
    outcomes = run_check()
    together, one_by_one = suites()
    outcomes.append(run_suite("parallel suites", together, "-n", str(min(8, os.cpu_count() or 1)), *args))
    outcomes.append(run_suite("serial suites", one_by_one, *args))
    for outcome in outcomes:
        report(outcome)
    return verdict(outcomes, began)


def sim(args: Sequence[str]) -> int:
    """Run the simulation: --seeds N, --seed S, --from S."""
    return call(
        [PYTHON, "-m", "tests.sim.simulate", *args],
        environment(PYTHONHASHSEED="0"),  # the order of sets is part of what a seed decides
    )


def chaos(args: Sequence[str]) -> int:
    """Put processes under fire and judge them: --store S, --seconds N, --rate R, --seed S, --planted."""
    return call([PYTHON, "-m", "tests.chaos", *args])


def bench(args: Sequence[str]) -> int:
    """Run the benchmark, tests/perf/bench.py, with the given arguments."""
    return call([PYTHON, "tests/perf/bench.py", *args])


def lock(args: Sequence[str]) -> int:
    """Rewrite requirements.lock from the pyproject.toml files (--upgrade for the newest versions)."""
    uv = find_uv()
    if uv is None:
        raise Failed("this command needs uv")
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "requirements.txt"
        command: list[str | Path] = [uv, "export", "--quiet", "--format", "requirements-txt", "-o", exported]
        command += ["--no-emit-workspace", "--all-packages", "--all-extras", "--all-groups"]
        command += ["--no-header", "--no-annotate", *args]
        if code := call(command, uv_environment()):
            return code
        text = exported.read_text("utf-8")
    LOCK.write_text(LOCK_HEADER + text, "utf-8")
    return 0


COMMANDS: tuple[Callable[[Sequence[str]], int], ...] = (demo, up, fmt, check, test, sim, chaos, bench, lock)


def parse(argv: Sequence[str]) -> tuple[Callable[[Sequence[str]], int], list[str]]:
    """The command that was asked for, and the arguments to pass on to it."""
    parser = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").split("\n\n")[0])
    parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        text = (command.__doc__ or "").strip()
        # `--help` after a command belongs to what the command runs.
        own_help = command in (check, test, fmt, lock)
        sub = parsers.add_parser(command.__name__, help=text, description=text, add_help=own_help)
        sub.set_defaults(command=command)
    known, rest = parser.parse_known_args(argv)
    if rest and known.command is check:
        parser.error(f"check takes no arguments: {' '.join(rest)}")
    return known.command, rest


def main(argv: Sequence[str]) -> int:
    """The command has run; its exit code is returned."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever `python3` is
        raise Failed(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]} ({sys.executable})")
    command, rest = parse(argv)
    ensure_environment()
    return command(rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"dev.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
