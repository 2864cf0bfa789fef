"""JSON Schema for the results of tasks (feature A5, `output_schema`)."""

import pytest

from avtomatika.blueprints.schema import check_schema, violation
from avtomatika.errors import InvalidInput

PROPERTIES = b'{"n":{"type":"integer"},"l":{"items":{"type":"string"}}}'
SCHEMA = b'{"type":"object","required":["n"],"properties":' + PROPERTIES + b"}"


@pytest.mark.parametrize("data", [b'{"n":1}', b'{"n":30.0}', b'{"n":1,"l":["a"]}'])
def test_data_that_fits_breaks_nothing(data: bytes) -> None:
    assert violation(SCHEMA, data) is None


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"{}", "n"), (b'{"n":"1"}', "n"), (b'{"n":1,"l":["a",2]}', "l[1]"), (b"null", "data")],
)
def test_a_violation_names_the_field(data: bytes, place: str) -> None:
    found = violation(SCHEMA, data)
    assert found is not None
    assert found.startswith(f"{place}: ")


@pytest.mark.parametrize(
    "schema",
    [
        b'{"type":"nothing"}',
        b'{"$ref":"http://127.0.0.1:9/schema.json"}',
        b'{"$ref":"file:///etc/passwd"}',
        b'{"pattern":"("}',
        b'{"enum":["' + b"x" * 70_000 + b'"]}',
    ],
)
def test_a_schema_that_is_wrong_or_refers_elsewhere_is_refused(schema: bytes) -> None:
    with pytest.raises(InvalidInput):
        check_schema(schema)
