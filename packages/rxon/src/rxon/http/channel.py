"""Requests over HTTP, below one address."""

from collections.abc import Mapping
from io import BytesIO
from ssl import SSLContext
from typing import Final

import aiohttp

from rxon.errors import TransportError
from rxon.http.answers import Answer

__all__ = ["Channel", "Unreachable"]

LARGE_BODY: Final = 1024 * 1024  # aiohttp sends more than this in pieces only from a stream


class Unreachable(TransportError):
    """There is no connection to the server, or it broke."""


class Channel:
    """Makes requests below ``root``, each with up to ``timeout`` seconds unless it says otherwise.

    A ``session`` that is passed in stays open after ``close``.
    """

    def __init__(
        self, root: str, session: aiohttp.ClientSession | None, timeout: float, ssl: SSLContext | None
    ) -> None:
        self.root = root
        self._session = session
        self._owns_session = session is None
        self._timeout = timeout
        self._ssl = ssl

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The answer, whatever its status is. Raises TransportError when none came."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=True
            )
        try:
            async with self._session.request(
                method,
                self.root + path,
                data=body if body is None or len(body) < LARGE_BODY else BytesIO(body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout or self._timeout),
                ssl=self._ssl if self._ssl is not None else True,
                allow_redirects=False,  # the token must not follow one to another host
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except TimeoutError as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None
