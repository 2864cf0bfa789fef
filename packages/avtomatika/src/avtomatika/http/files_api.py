"""Files of jobs over HTTP: for clients, and for whoever has a link (feature G1)."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from avtomatika.commands.file_links import FileLinks
from avtomatika.commands.job_files import JobFiles
from avtomatika.commands.queries import EVERYBODY, Queries
from avtomatika.errors import InvalidInput
from avtomatika.http import query
from avtomatika.http.answers import answer
from avtomatika.http.callers import Callers
from avtomatika.kernel.ids import JobId

MAX_EXPIRES: Final = 7 * 86_400
OF_DOWNLOAD: Final = 60
PIECE: Final = 256 * 1_024
BINARY: Final = "application/octet-stream"


class UploadUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that takes the file as the body of one request, for so many seconds."""

    url: str
    expires_in: int
    method: str = "PUT"


class FileUploaded(msgspec.Struct, frozen=True, kw_only=True):
    """That the file is stored, and the address that handlers and workers know it by."""

    status: str = "uploaded"
    s3_uri: str


class FilesApi:
    """Handlers of the routes about files."""

    def __init__(self, callers: Callers, queries: Queries, files: JobFiles, links: FileLinks) -> None:
        self._callers, self._queries, self._files, self._links = callers, queries, files, links

    async def upload_url(self, request: web.Request) -> web.Response:
        """200 with a URL that takes the file for a while."""
        job = await self._queries.job(request.match_info["job_id"], self._callers.viewer_of(request))
        seconds = query.whole(request, "expires_in", 3_600, 1, MAX_EXPIRES)
        name = request.query.get("filename")
        if not name:
            raise InvalidInput("The name of the file is missing.", field="filename")
        url = await self._files.upload_url(job, name, seconds)
        return answer(UploadUrl(url=url, expires_in=seconds))

    async def put(self, request: web.Request) -> web.Response:
        """200 when the file is stored, whole."""
        job = await self._queries.job(request.match_info["job_id"], self._callers.viewer_of(request))
        name = request.match_info["filename"]
        uri = await self._files.put(job, name, _pieces(request), request.content_length)
        return answer(FileUploaded(s3_uri=uri))

    async def download(self, request: web.Request) -> web.Response:
        """302 to a URL that gives the file for a minute."""
        job = await self._queries.job(request.match_info["job_id"], self._callers.viewer_of(request))
        name = request.match_info["filename"]
        await self._files.found(job.id, name)
        url = await self._files.url("GET", job.id, name, OF_DOWNLOAD)
        return web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})

    async def put_by_link(self, request: web.Request) -> web.Response:
        """As `put`, for whoever has the link."""
        job_id, name = self._linked(request, "PUT")
        job = await self._queries.job(job_id, EVERYBODY)
        uri = await self._files.put(job, name, _pieces(request), request.content_length)
        return answer(FileUploaded(s3_uri=uri))

    async def read_by_link(self, request: web.Request) -> web.StreamResponse:
        """200 with the file, for whoever has the link."""
        job_id, name = self._linked(request, "GET")
        found = await self._files.found(job_id, name)
        content = self._files.content(job_id, name)
        first = b"" if request.method == "HEAD" else await anext(content, b"")
        response = web.StreamResponse(headers=_headers(name))
        response.content_length = found.size
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(first)
            async for piece in content:
                await response.write(piece)
        await response.write_eof()
        return response

    def _linked(self, request: web.Request, method: str) -> tuple[JobId, str]:
        job_id, name = request.match_info["job_id"], request.match_info["filename"]
        expires, signature = request.query.get("expires", ""), request.query.get("signature", "")
        self._links.check(method, job_id, name, expires, signature)
        return JobId(job_id), name


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises InvalidInput when it breaks off or is not encoded as it says."""
    try:
        async for piece in request.content.iter_chunked(PIECE):
            yield piece
    except web.RequestPayloadError as error:
        raise InvalidInput("The body is not what its headers say.", field="body") from error


def _headers(name: str) -> dict[str, str]:
    """Those of content that a browser must store and never show: anybody may have written it."""
    last = quote(name.rpartition("/")[2], safe="")
    return {
        "Content-Type": BINARY,
        "Content-Disposition": f"attachment; filename*=UTF-8''{last}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
        "Cache-Control": "private, no-store",
    }
