"""Identifiers are short and plain, so that they fit into paths, keys and logs."""

import pytest

from rxon.errors import ProtocolError
from rxon.identifiers import is_valid_identifier, validate_identifier


@pytest.mark.parametrize("value", ["a", "cam-01", "A_b-9", "x" * 128])
def test_plain_names_are_identifiers(value: str) -> None:
    assert is_valid_identifier(value)
    assert validate_identifier(value) == value


@pytest.mark.parametrize("value", ["", "a b", "a/b", "é", "a\n", "x" * 129, "..", None, 7])
def test_anything_else_is_not(value: object) -> None:
    assert not is_valid_identifier(value)


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(ProtocolError) as caught:
        validate_identifier("no spaces", "worker_id")
    assert caught.value.field == "worker_id"
