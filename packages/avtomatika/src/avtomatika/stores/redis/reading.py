"""What the server answers, as bytes."""

import math
from typing import Any

from redis.asyncio.connection import AbstractConnection

Reply = Any  # bytes, int, None, or lists of them: what a script answers is known where it is called


async def next_reply(connection: AbstractConnection, within: float = math.inf) -> Reply:
    """The next answer, None when there is none so soon. Raises RedisError; ResponseError is an answer too."""
    return await connection.read_response(disable_decoding=True, timeout=within)  # pyright: ignore[reportUnknownVariableType] - redis-py does not say
