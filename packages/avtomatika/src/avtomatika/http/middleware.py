"""What happens around every request: an id, and errors turned into answers."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from avtomatika import observe
from avtomatika.errors import AvtomatikaError
from avtomatika.http import problems


def error_middleware(new_id: Callable[[], str]) -> Middleware:
    """A middleware after which every error is an answer of the documented shape."""

    @web.middleware
    async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except AvtomatikaError as error:
            return problems.of_error(error, request, new_id())
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return problems.of_http(error, request, new_id())
        except Exception as error:  # noqa: BLE001 - the last resort, logged under the id
            request_id = new_id()
            observe.failure("http.failed", error, method=request.method, path=request.path, id=request_id)
            return problems.internal(request, request_id)

    return _answer_errors
