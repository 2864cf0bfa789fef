"""The nodes of one store have the same secrets, or do not start."""

from collections.abc import Mapping

import pytest

from avtomatika.commands.siblings import SHELF, agree, chosen, fingerprint, forget
from avtomatika.errors import ConfigError
from avtomatika.stores.shelf import MemoryShelf

SECRETS: Mapping[str, str] = {"APPROVAL_SECRET": "a-secret-of-the-tests", "ORCHESTRATOR_SECRET_KEY": ""}


@pytest.fixture
def shelf() -> MemoryShelf:
    return MemoryShelf()


async def test_the_first_node_chooses_and_those_with_the_same_secrets_start(shelf: MemoryShelf) -> None:
    await agree(shelf, SECRETS)
    await agree(shelf, SECRETS)
    assert set(await chosen(shelf)) == set(SECRETS)


async def test_other_secrets_are_refused_by_name_and_never_told(shelf: MemoryShelf) -> None:
    await agree(shelf, SECRETS)
    with pytest.raises(ConfigError) as refused:
        await agree(shelf, {**SECRETS, "APPROVAL_SECRET": "another-secret-of-the-tests"})
    assert refused.value.message.startswith("APPROVAL_SECRET: not what the other nodes")
    assert "tests" not in refused.value.message


async def test_a_key_that_only_one_node_has_is_a_difference(shelf: MemoryShelf) -> None:
    await agree(shelf, SECRETS)
    with pytest.raises(ConfigError, match=r"^ORCHESTRATOR_SECRET_KEY:"):
        await agree(shelf, {"ORCHESTRATOR_SECRET_KEY": "key-that-the-others-do-not-have"})


async def test_the_secret_is_not_on_the_shelf(shelf: MemoryShelf) -> None:
    await agree(shelf, SECRETS)
    kept = {key: bytes(value).decode() for key, value in (await shelf.items(SHELF)).items()}
    assert len(kept["APPROVAL_SECRET"]) == 64 + 2
    assert not any(SECRETS["APPROVAL_SECRET"] in value for value in kept.values())


async def test_after_a_rotation_the_next_node_chooses(shelf: MemoryShelf) -> None:
    await agree(shelf, SECRETS)
    await forget(shelf)
    await agree(shelf, {"APPROVAL_SECRET": "the-new-secret-of-all"})
    with pytest.raises(ConfigError):
        await agree(shelf, SECRETS)


def test_equal_secrets_of_different_names_look_different() -> None:
    assert fingerprint("A", "the same secret") != fingerprint("B", "the same secret")
