"""The tokens of a first run: made once, for the owner's eyes only."""

import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avtomatika.credentials import FILE, KINDS, load_or_make
from avtomatika.errors import ConfigError


def counted() -> Iterator[str]:
    n = 0
    while True:
        n += 1
        yield f"random-{n:024}"


def make(folder: Path, *kinds: str) -> tuple[dict[str, str], list[str]]:
    tokens = counted()
    secrets, made = load_or_make(folder, lambda: next(tokens), kinds or KINDS)
    return dict(secrets), list(made)


def test_the_first_start_makes_a_token_of_each_kind(tmp_path: Path) -> None:
    tokens, fresh = make(tmp_path / "data")
    assert fresh == list(KINDS)
    assert set(tokens) == set(KINDS)
    assert len(set(tokens.values())) == len(KINDS)
    for kind, token in tokens.items():
        assert token.startswith("whsec_" if kind == "webhook" else f"avt_{kind}_")
        assert token in (tmp_path / "data" / FILE).read_text()


def test_the_second_start_finds_the_same(tmp_path: Path) -> None:
    first, _ = make(tmp_path)
    second, fresh = make(tmp_path)
    assert (second, fresh) == (first, [])


def test_nodes_that_start_together_in_one_folder_have_the_same(tmp_path: Path) -> None:
    def start(number: int) -> dict[str, str]:
        def token() -> str:
            time.sleep(0.005)  # as long as the others need to get here too
            return f"random-of-{number}"

        return dict(load_or_make(tmp_path, token)[0])

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(start, range(4))
    assert others == [first] * 3


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make(tmp_path / "data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    make(tmp_path)
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(ConfigError, match="can be read by others"):
        make(tmp_path)


def test_a_link_that_was_laid_there_is_not_written_through(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (tmp_path / FILE).symlink_to(trap)
    with pytest.raises((ConfigError, OSError)):
        make(tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml at all", "not TOML"),
        ('client = ""\nworker = "w"', "no usable secret for: client"),
        ('client = 3\nworker = "w"', "no usable secret for: client"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_by_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / FILE).write_text(text)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(ConfigError, match=says) as caught:
        make(tmp_path)
    assert FILE in caught.value.message


def test_a_file_of_an_earlier_release_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    before, _ = make(tmp_path, "client", "worker")
    after, made = make(tmp_path)
    assert made == ["operator", "webhook", "approval"]
    assert {kind: after[kind] for kind in before} == before
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(ConfigError, match="not TOML"):
        make(tmp_path)


def test_a_token_is_not_in_the_message_of_an_error(tmp_path: Path) -> None:
    secret = "avt_client_secret"
    (tmp_path / FILE).write_text(f'client = "{secret}"\nworker = {secret}')
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        make(tmp_path)
    assert secret not in caught.value.message
