"""The secrets of a first run: random, kept in a file that only its owner can read."""

import fcntl
import os
import stat
import tomllib
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from avtomatika.commands.webhooks import secret_of
from avtomatika.errors import ConfigError

FILE: Final = "secrets.toml"

KINDS: Final = ("client", "worker", "operator", "webhook", "approval")
"""Tokens of those who come in, the key that signs webhooks, the key that approval links are made with."""

_HEAD: Final = "# Made by the first run. Whoever has a token may act in its name.\n"


def load_or_make(
    data_dir: Path, token: Callable[[], str], kinds: Collection[str] = KINDS
) -> tuple[Mapping[str, str], Collection[str]]:
    """The secrets of these kinds, and the kinds that were made just now. Nodes that start together make one.

    Raises ConfigError when the file can be read by others, or is not what this function writes.
    """
    path = data_dir / FILE
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(data_dir):
        known: Mapping[str, str] = _read(path) if path.exists() or path.is_symlink() else {}
        missing = [kind for kind in kinds if kind not in known]
        if missing:
            known = {**known, **{kind: new_secret(kind, token) for kind in missing}}
            _write(path, known)
    return {kind: known[kind] for kind in kinds}, missing


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Nobody else is within this for the same folder."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def new_secret(kind: str, token: Callable[[], str]) -> str:
    """A secret that nobody has, in the form of its kind: the one for webhooks as its receivers expect it."""
    chance = token() + token()
    return secret_of(chance.encode()) if kind == "webhook" else f"avt_{kind}_{chance}"


def _write(path: Path, secrets: Mapping[str, str]) -> None:
    # Beside the file and then in its place: a process that dies here leaves the old file whole.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w") as out:
            out.write(_HEAD)
            out.writelines(f'{kind} = "{value}"\n' for kind, value in secrets.items())
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _read(path: Path) -> Mapping[str, str]:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if path.is_symlink() or mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:o}); make it a file of mode 600.")
    try:
        secrets = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    wrong = [kind for kind, value in secrets.items() if not isinstance(value, str) or not value]
    if wrong:
        raise ConfigError(f"{path} has no usable secret for: {', '.join(wrong)}.")
    return secrets
