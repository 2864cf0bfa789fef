"""Errors as one line for a person, and the exit codes of the commands."""

from typing import Final

import click

from avtomatika.errors import AvtomatikaError, StorageBroken

FAILED: Final = 1
"""The command did what it was asked to, and the job did not finish well."""
REFUSED: Final = 2
"""The command could not do what it was asked to."""
STORAGE_BROKEN: Final = 70
"""The storage failed in a way that a restart does not repair."""


class Refusal(click.ClickException):
    """The command cannot do it; shown as one line."""

    def __init__(self, message: str, exit_code: int = REFUSED) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


class Unreachable(Refusal):
    """Nobody answers at the address, or no longer."""


class Answered(Refusal):
    """The orchestrator said no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message} (HTTP {status})")
        self.status = status
        self.code = code


def refusal_of(error: AvtomatikaError) -> Refusal:
    """The error as it is shown, with its exit code."""
    code = STORAGE_BROKEN if isinstance(error, StorageBroken) else REFUSED
    return Refusal(f"{error.code}: {error.message}", code)
