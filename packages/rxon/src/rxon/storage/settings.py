"""Where files are stored."""

from dataclasses import dataclass, field

__all__ = ["CONCURRENCY", "StorageSettings"]

CONCURRENCY = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageSettings:
    """An S3 of any vendor. Without ``endpoint`` it is that of AWS, without keys those of the surroundings.

    ``bucket`` is the one to use where nobody names another; ``concurrency`` is how many files are
    transferred at once.
    """

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    bucket: str = "avtomatika-payloads"
    concurrency: int = CONCURRENCY
