"""A run from its beginning to its end: load and faults, healing, waiting, reading."""

import asyncio
import json
import signal
import time
from pathlib import Path

from tests.chaos.faults import draw
from tests.chaos.fire import Fire
from tests.chaos.lines import Delivery, Journal, Mark, Silent, now
from tests.chaos.lines import read as read_lines
from tests.chaos.options import Options
from tests.chaos.reading import Reader, reading_session
from tests.chaos.stage import Stage
from tests.chaos.sums import wants_webhook


def conduct(options: Options, folder: Path) -> Path:
    """The run has been made; where its lines are. Raises NotPossible.

    Nothing of it is left running, also when it is told to end.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    stage = Stage(options, folder)
    try:
        stage.open()
        asyncio.run(_conduct(stage))
    finally:
        stage.close()
        signal.signal(signal.SIGTERM, before)
    return stage.lines


async def _conduct(stage: Stage) -> None:
    fire = Fire(stage)
    epoch = json.dumps({"epoch": time.time() - time.monotonic()})
    stage.journal.add(Mark(t=now(), name="load", detail=epoch))
    stage.begin()
    supervising = asyncio.create_task(fire.supervise())
    answered = asyncio.create_task(asyncio.to_thread(stage.load.hear))
    try:
        await _fire_at(stage, fire)
        await _look_at_what_is_left(stage, answered)
        stage.journal.add(Mark(t=now(), name="cpu", detail=json.dumps(stage.used())))
    finally:
        supervising.cancel()
        stage.load.close()  # which ends what waits for it in a thread
        await asyncio.wait((supervising, answered))
    stage.journal.add(Mark(t=now(), name="end"))


async def _fire_at(stage: Stage, fire: Fire) -> None:
    """The load is over, and so are all faults."""
    began = time.monotonic()
    await fire.run(draw(stage.options))
    await asyncio.sleep(max(0.0, began + stage.options.seconds - time.monotonic()))
    stage.journal.add(Mark(t=now(), name="heal"))


async def _look_at_what_is_left(stage: Stage, answered: "asyncio.Task[str]") -> None:
    """Everything has settled, or nobody waits for it any longer; what there is then is written down."""
    async with reading_session() as session:
        reader = Reader(stage, session)
        await asyncio.wait((answered,), timeout=stage.options.patience)
        for node, why in (await reader.silent()).items():
            stage.journal.add(Silent(t=now(), node=node, why=why))
        left = await _settle(stage, reader, answered)
        name = "unsettled" if left else "settled"
        some = json.dumps(dict([*left.items()][:20]))
        stage.journal.add(Mark(t=now(), name=name, detail=some))
        await _until_told(stage, reader)
        await _read(stage, reader)


async def _settle(stage: Stage, reader: Reader, answered: "asyncio.Task[str]") -> dict[str, str]:
    """Every request has an answer and every job is over; what is left when the patience is over."""
    deadline = time.monotonic() + stage.options.patience
    left: dict[str, str] = {"requests": "unanswered"}
    if not answered.done():
        return left
    while time.monotonic() < deadline:
        left = await reader.unfinished()
        if not left:
            break
        await asyncio.sleep(0.3)
    return left


async def _until_told(stage: Stage, reader: Reader) -> None:
    """Every webhook has come that is due, or it has been waited for long enough."""
    wanted = {job async for job in reader.with_webhook(wants_webhook)}
    deadline = time.monotonic() + stage.options.patience / 4
    while time.monotonic() < deadline:
        lines = read_lines(stage.lines, "sink.jsonl")
        taken = {line.job for line in lines if isinstance(line, Delivery) and line.answer == 200}
        if wanted <= taken:
            return
        await asyncio.sleep(0.3)


async def _read(stage: Stage, reader: Reader) -> None:
    journal = Journal(stage.lines / "final.jsonl")
    for job in await reader.everything():
        journal.add(job)
