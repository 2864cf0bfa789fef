"""What the notes of a run show: who came too late with what, and what became of it."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.zombies.crew import LEASE
from tests.e2e.zombies.notes import read

Note = dict[str, Any]
REFUSED = ("LeaseLost", "VersionConflict")


class Pause:
    """A process stood still: who, where, for which key, from when until when."""

    def __init__(self, stops: Note, until: float) -> None:
        self.by, self.where, self.key = stops["by"], stops["where"], stops["key"]
        self.begun, self.until = stops["t"], until

    @property
    def long(self) -> bool:
        """It was longer than a lease."""
        return bool(self.until - self.begun > LEASE)


class Evidence:
    """The notes, by what they are about."""

    def __init__(self, folder: Path) -> None:
        self.pauses: list[Pause] = []
        self.answers: dict[tuple[str, str], list[Note]] = defaultdict(list)
        self._given: dict[str, list[Note]] = defaultdict(list)
        self._uses: list[Note] = []
        stopped: dict[tuple[str, str], Note] = {}
        for note in read(folder):
            match note["what"]:
                case "stops":
                    stopped[note["by"], note["key"]] = note
                case "goes on":
                    self.pauses.append(Pause(stopped.pop((note["by"], note["key"])), note["t"]))
                case "answered":
                    self.answers[note["by"], note["task"]].append(note)
                case "given":
                    self._given[note["message"]].append(note)
                case "uses":
                    self._uses.append(note)

    def stale(self) -> Iterator[Note]:
        """The uses of leases whose message had certainly been given to somebody else by then."""
        for use in self._uses:
            given = self._given[use["message"]]
            mine = next((note["t"] for note in given if note["token"] == use["token"]), use["began"])
            others = (note for note in given if note["token"] != use["token"])
            if any(mine < other["began"] and other["t"] < use["began"] for other in others):
                yield use

    def heirs(self, run: str, pause: Pause) -> bool:
        """Whether the run of a handler was given to somebody else while its node stood still."""
        return any(
            note["by"] != pause.by and note["t"] < pause.until
            for message, notes in self._given.items()
            if message.startswith(run)
            for note in notes
        )

    def results(self) -> Iterator[tuple[Pause, list[Note]]]:
        """What workers that stood still for too long were answered to what they had done."""
        for pause in self.pauses:
            if pause.long and pause.by.startswith("w"):
                said = self.answers[pause.by, pause.where]
                yield pause, [note for note in said if note["t"] > pause.until]
