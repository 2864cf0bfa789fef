"""Answers as JSON."""

from typing import Any, Final

import msgspec
from aiohttp import web

_ENCODER: Final = msgspec.json.Encoder()


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_ENCODER.encode(body), status=status, content_type="application/json")
