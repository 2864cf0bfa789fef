"""The settings of files: where they are kept, how large they may be, and for how long they stay."""

import re
from pathlib import Path
from typing import Final

import msgspec

from avtomatika.kernel.time import Span
from avtomatika.settings.history import sqlite_path
from avtomatika.settings.reader import Reader

FOLDER: Final = "files"

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEYS: Final = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY")


class S3(msgspec.Struct, frozen=True):
    """An S3 of any vendor."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def __repr__(self) -> str:
        return f"S3(endpoint={self.endpoint!r}, region={self.region!r})"


class FileSettings(msgspec.Struct, frozen=True):
    """Files of jobs are in *bucket*: of the S3, else in a subfolder of `folder`, else in memory.

    `keep` is for how long they stay after the end of their job, None for ever. `local` is where handlers
    work on copies. Values of jobs up to `most_inside` bytes are in the job itself, larger ones beside it.
    """

    s3: S3 | None = None
    folder: Path | None = None
    bucket: str = "avtomatika-payloads"
    concurrency: int = 100
    keep: Span | None = Span(86_400_000)
    local: Path = Path("/tmp/avtomatika-payloads")  # noqa: S108 - published; made for its owner alone
    most: int = 5 * 2**30
    most_inside: int = 262_144

    @property
    def keep_of_jobs(self) -> Span | None:
        """What jobs need to know: in an S3 workers may leave files, which nobody else knows of."""
        return None if self.s3 is None else self.keep


def read_files(reader: Reader, data_dir: Path, storage_url: str) -> FileSettings:
    """The `S3_…` variables, `TASK_FILES_DIR`, and what is kept for how long, and where."""
    default = FileSettings()
    bucket = reader.text("S3_DEFAULT_BUCKET", default.bucket)
    if not _BUCKET.fullmatch(bucket):
        reader.problem("S3_DEFAULT_BUCKET", "must be 3 to 63 lower-case letters, digits, dots and hyphens")
    keep = reader.span("FILES_RETENTION_SECONDS", 86_400)
    return FileSettings(
        s3=_s3(reader),
        folder=_folder(data_dir, storage_url),
        bucket=bucket,
        concurrency=reader.whole("S3_MAX_CONCURRENCY", default.concurrency, 1),
        keep=keep if reader.flag("S3_AUTO_CLEANUP", True) else None,
        local=Path(reader.text("TASK_FILES_DIR", str(default.local))),
        most=reader.whole("MAX_UPLOAD_BYTES", default.most, 1),
        most_inside=reader.whole("OFFLOAD_VALUES_BYTES", default.most_inside, 1_024),
    )


def _s3(reader: Reader) -> S3 | None:
    given = {name: reader.optional(name) for name in _KEYS}
    endpoint, access_key, secret_key = given.values()
    region = reader.text("S3_REGION", "us-east-1")
    if endpoint is None or access_key is None or secret_key is None:
        if endpoint or access_key or secret_key:
            missing = ", ".join(name for name, value in given.items() if value is None)
            reader.problem("S3_ENDPOINT_URL", f"an S3 needs {missing} too")
        return None
    if not endpoint.startswith(("http://", "https://")):
        reader.problem("S3_ENDPOINT_URL", "must begin with http:// or https://")
    return S3(endpoint.rstrip("/"), access_key, secret_key, region)


def _folder(data_dir: Path, storage_url: str) -> Path | None:
    """Beside the database; None where jobs are in memory, so that files end with them."""
    if storage_url.startswith("memory:"):
        return None
    database = sqlite_path(storage_url)
    return (data_dir if database is None else database.parent) / FOLDER
