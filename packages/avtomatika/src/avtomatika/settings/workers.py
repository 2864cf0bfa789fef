"""The settings of the worker gateway, and the file of worker tokens."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from avtomatika.commands.pace import EVENTS_A_SECOND
from avtomatika.commands.passes import ACCESS_LIFE
from avtomatika.commands.roll import PATTERN, Listed, digest
from avtomatika.errors import ConfigError
from avtomatika.kernel.time import Span
from avtomatika.settings.reader import Reader
from rxon.identifiers import is_valid_identifier
from rxon.signing.key_pair import check_public

SIGNATURES: Final = ("OPTIONAL", "REQUIRED")
SHORTEST_LIFE: Final = 900
LONGEST_LIFE: Final = 3_600
SHORTEST_TOKEN: Final = 16


class WorkerSettings(msgspec.Struct, frozen=True):
    """Which workers may come in beside those with the common token, and what they have to sign.

    Each of their tasks may tell so many `events` in a second.
    """

    tokens: Path | None = None
    signed: bool = False
    access_life: Span = ACCESS_LIFE
    task_key: str | None = None
    events: int = EVENTS_A_SECOND

    def __repr__(self) -> str:
        return f"WorkerSettings(tokens={str(self.tokens)!r}, signed={self.signed})"


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    token: str | None = None
    token_sha256: str | None = None
    public_key: str | None = None


def read_workers(reader: Reader) -> WorkerSettings:
    """The `WORKER…` variables."""
    given = reader.optional("WORKERS_CONFIG_PATH")
    if given is not None and not Path(given).is_file():
        reader.problem("WORKERS_CONFIG_PATH", f"there is no file {given}")
        given = None
    life = reader.whole("WORKER_ACCESS_TOKEN_SECONDS", LONGEST_LIFE, SHORTEST_LIFE)
    if life > LONGEST_LIFE:
        reader.problem("WORKER_ACCESS_TOKEN_SECONDS", f"must be {LONGEST_LIFE} at most")
    return WorkerSettings(
        tokens=None if given is None else Path(given),
        signed=reader.choice("WORKER_SIGNATURES", "OPTIONAL", SIGNATURES) == "REQUIRED",
        access_life=Span(life * 1_000),
        task_key=reader.optional("ORCHESTRATOR_SECRET_KEY"),
        events=reader.whole("WORKER_EVENTS_PER_SECOND", EVENTS_A_SECOND, 1),
    )


def read_tokens(path: Path | None) -> Mapping[str, Listed]:
    """What the file says of tokens and keys: by worker id, or by `pattern:GLOB`, in their order.

    Raises ConfigError that names everything that is wrong.
    """
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    found: dict[str, Listed] = {}
    problems: list[str] = []
    for name, table in tables.items():
        try:
            found[name] = _listed(name, table)
        except ValueError as error:
            problems.append(f"[{name}] {error}")
    if problems:
        raise ConfigError(f"{path} is not usable. {'; '.join(problems)}")
    return found


def _listed(name: str, table: Any) -> Listed:
    pattern = name.removeprefix(PATTERN)
    if pattern == name and not is_valid_identifier(name):
        raise ValueError("is no worker id")
    try:
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        raise ValueError(f"must have a token: {error}") from error
    if entry.public_key is not None:
        try:
            check_public(entry.public_key)
        except ValueError as error:
            raise ValueError(f"has a public_key that is no Ed25519 key in PEM: {error}") from error
    if entry.token is not None and entry.token_sha256 is None:
        if len(entry.token) < SHORTEST_TOKEN:
            raise ValueError(f"has a token shorter than {SHORTEST_TOKEN} characters")
        return Listed.of(entry.token, entry.public_key)
    if entry.token_sha256 is not None and entry.token is None:
        return Listed(_digest(entry.token_sha256), public_key=entry.public_key)
    if entry.public_key is None or entry.token is not None:
        raise ValueError("must have either token or token_sha256, or a public_key")
    return Listed(public_key=entry.public_key)


def _digest(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != len(digest("")):
        raise ValueError("has a token_sha256 that is not 64 hexadecimal digits")
    return value
