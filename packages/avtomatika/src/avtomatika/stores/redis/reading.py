"""What the server answers, as bytes."""

import math
from typing import Any

from redis.asyncio.connection import AbstractConnection

Reply = Any  # bytes, int, None, or lists of them: what a script answers is known where it is called


async def next_reply(connection: AbstractConnection) -> Reply:
    """The next answer, however long it takes. Raises RedisError: ResponseError for one that is an error."""
    return await connection.read_response(disable_decoding=True, timeout=math.inf)  # pyright: ignore[reportUnknownVariableType] - redis-py does not say
