"""Whoever is refused again and again hears it later and later: who asks in vain takes no time of others."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from avtomatika.commands.pace import Pace
from avtomatika.kernel.time import SECOND, Span, after
from avtomatika.ports.clock import Clock
from rxon.vocabulary import PATH_PREFIX

AT_ONCE: Final = 50
A_SECOND: Final = 10
A_REFUSAL_MORE: Final = 65_536
"""So many bytes of a body count as a request of their own."""

LONGEST: Final = Span(30 * SECOND)
REFUSALS: Final = frozenset({400, 401, 403, 413, 422, 429})
"""Not 404 and 409: an honest fleet hears these from a node that was away."""


def reluctance(clock: Clock) -> Middleware:
    """A middleware by which an address hears so many refusals of workers at once, and so many a second."""
    pace = Pace(AT_ONCE, A_SECOND)

    @web.middleware
    async def _answer_later(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if response.status in REFUSALS and request.path.startswith(PATH_PREFIX):
            address, now = request.remote or "", clock.now()
            wait = pace.wait(address, now)
            if wait <= LONGEST:
                pace.take(address, 1 + (request.content_length or 0) // A_REFUSAL_MORE, now)
            if wait:
                await clock.sleep_until(after(now, min(wait, LONGEST)))
        return response

    return _answer_later
