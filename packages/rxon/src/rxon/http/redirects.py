"""Sockets that are opened where they were asked for, and nowhere else."""

from types import SimpleNamespace

import aiohttp

from rxon.errors import TransportError

__all__ = ["no_redirects"]


def no_redirects() -> aiohttp.TraceConfig:
    """Makes a session raise TransportError at a redirect: the token must not follow one to another host."""
    found = aiohttp.TraceConfig()
    found.on_request_redirect.append(_refuse)
    return found


async def _refuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, redirect: aiohttp.TraceRequestRedirectParams
) -> None:
    raise TransportError("The server redirects")
