"""Answers as JSON."""

import os
import sys
from typing import Any, Final

import msgspec
from aiohttp import web

_ENCODER: Final = msgspec.json.Encoder()


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_ENCODER.encode(body), status=status, content_type="application/json")


def urgent_answer(body: Any) -> web.Response:
    """A JSON answer, status 200, after which this process lets others run before it goes on."""
    return _Urgent(body=_ENCODER.encode(body), content_type="application/json")


class _Urgent(web.Response):
    async def write_eof(self, data: bytes = b"") -> None:
        """The answer is sent, and whoever waits for it had the chance to run."""
        await super().write_eof(data)
        if sys.platform != "win32":
            # Linux may wake the reader on the processor of the sender, though another one is idle (on virtual
            # machines it does): there the reader would wait for all that this process has left to do.
            os.sched_yield()
