"""Workers of every published generation, on nodes that are real."""

from tests.integration.http.conftest import start, storage

__all__ = ["start", "storage"]
