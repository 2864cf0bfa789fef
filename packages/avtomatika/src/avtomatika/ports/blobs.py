"""Where files of jobs are kept: outside of the store, in one bucket of an object storage."""

from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Protocol

from rxon.messages.capability import FileMetadata

__all__ = ["Blobs", "FileMetadata"]


class Blobs(Protocol):
    """Files by key: steps with slashes between them. A key that ends with a slash is that of a folder.

    Every verb may raise `Unavailable`, and InvalidInput for a key that is not safe.
    """

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        ...

    def uri(self, key: str) -> str:
        """The address that workers and clients know the file by."""
        ...

    async def download(self, key: str, target: Path, expected: FileMetadata | None = None) -> FileMetadata:
        """*target* is a copy, and appeared when it was complete. Raises NotFound, IntegrityError."""
        ...

    async def upload(self, source: Path, key: str) -> FileMetadata:
        """The file, or every file in the folder, is stored. Raises FileNotFoundError."""
        ...

    async def upload_stream(
        self, chunks: AsyncIterable[bytes], key: str, size: int | None = None
    ) -> FileMetadata:
        """The file is stored, and appeared when it was complete. What *chunks* raises is raised."""
        ...

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """The content. Raises NotFound."""
        ...

    async def metadata(self, key: str) -> FileMetadata | None:
        """What is known of the file, or the folder; None when it is not there."""
        ...

    async def delete(self, key: str) -> None:
        """The file, or everything in the folder, is gone."""
        ...

    async def signed_url(self, method: str, key: str, seconds: int) -> str | None:
        """An address that anybody may use so for a while; None where the storage itself has no such thing."""
        ...
