"""What happens on the stage, and what is told of it."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from avtomatika.cli.demo.material import Material
from avtomatika.cli.demo.stage import WORKERS, Stage
from avtomatika.cli.processes import Child
from avtomatika.cli.refusal import FAILED, Refusal
from avtomatika.cli.screen import Bar, is_over
from avtomatika.cli.watching import patiently

Result = Mapping[str, Any]

LOOK: float = 0.05
"""How many seconds pass between two looks at the job, at most."""


def play(stage: Stage, material: Material, crash: bool) -> tuple[Result, float]:
    """The result of the job and the seconds that it took; with a crash in the middle if wanted.

    Raises Refusal when it did not finish, or was over before there was a chance to crash.
    """
    click.echo(f"{len(material.files)} files: {material.said}")
    orchestrator = stage.orchestrator()
    workers = [stage.worker(name) for name in WORKERS]
    wanted = {
        "roots": material.roots,
        "suffixes": material.suffixes,
        "out": material.out,
        "bits": material.bits,
    }
    began = time.monotonic()
    job_id: str = stage.connection.submit("v1/documents", json.dumps(wanted).encode())["job_id"]
    click.echo(f"job {job_id}")
    bar = Bar()
    if crash:
        watch(stage, job_id, bar, halfway)
        crash_and_restart(stage, job_id, orchestrator, workers[0], bar)
    job = watch(stage, job_id, bar, is_over)
    if job["status"] != "finished":
        error: Mapping[str, str] = job.get("error") or {}
        raise Refusal(f"The job {job['status']}: {error.get('message', 'no reason given')}", FAILED)
    return job["result"], time.monotonic() - began


def halfway(job: Mapping[str, Any]) -> bool:
    """True when between 20 % and 80 % of the files are analysed."""
    progress = job.get("progress")
    return progress is not None and 0.2 <= progress["done"] / progress["total"] <= 0.8


def watch(
    stage: Stage, job_id: str, bar: Bar, enough: Callable[[Mapping[str, Any]], bool]
) -> Mapping[str, Any]:
    """The job once it is *enough*; meanwhile the screen shows how far it is. Raises Refusal."""

    def look() -> Mapping[str, Any]:
        stage.check()
        return stage.connection.job(job_id, wait=str(LOOK))

    try:
        while True:
            job = patiently(look, bar.note)
            if enough(job):
                return job
            if is_over(job):
                raise Refusal(f"The job {job['status']} before it could be crashed.", FAILED)
            bar.show(job)
    finally:
        bar.clear()


def crash_and_restart(stage: Stage, job_id: str, orchestrator: Child, worker: Child, bar: Bar) -> None:
    """The orchestrator and one worker were killed in the middle of the job, and both run again."""
    job = stage.connection.job(job_id)
    stage.kill(orchestrator)
    stage.kill(worker)
    progress = job.get("progress") or {"done": "all", "total": "all"}
    done = f"{progress['done']} of {progress['total']} files done"
    bar.note(f"killed the orchestrator and {worker.name} with {done}")
    began = time.monotonic()
    stage.orchestrator()
    stage.worker(worker.name)
    bar.note(f"started both again ({time.monotonic() - began:.1f} s); the same job goes on")


def result_lines(result: Result, seconds: float) -> str:
    """The result for people."""
    shares = ", ".join(f"{worker} {count}" for worker, count in result["workers"].items())
    terms = ", ".join(f"{term} ({count})" for term, count in result["terms"][:8])
    alike = len(result["alike"])
    lines = [
        ("files", f"{result['files']} ({result['skipped']} left out)"),
        ("words", f"{result['words']:,} in {result['lines']:,} lines, {result['minutes']:g} minutes to read"),
        (
            "found",
            f"{result['headings']:,} headings, {result['links']:,} links, {alike} pairs of files alike",
        ),
        ("top terms", terms or "none"),
        ("workers", shares or "none had anything to do"),
        ("seconds", f"{seconds:.1f}"),
        ("report", result["html"]),
        ("", result["json"]),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in lines)


def compared(result: Result, material: Material) -> bool:
    """True when the job came to exactly what this process comes to by itself; said on the screen."""
    expected = json.loads(json.dumps(material.directly()))
    different = [name for name, value in expected.items() if result.get(name) != value]
    report = json.loads(Path(result["json"]).read_text("utf-8"))["summary"]
    if report != expected:
        different.append("the report")
    if different:
        click.echo(f"same result as without a crash: no (different: {', '.join(different)})")
        return False
    click.echo(f"same result as without a crash: yes (digest {result['digest'][:16]})")
    return True
