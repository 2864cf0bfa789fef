"""A job tells a server of ours how it ended, and the server makes sure that nobody else does."""

import asyncio
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping

from aiohttp import web

from avtomatika import Blueprint
from embedded import WEBHOOK_SECRET, Json, serving

count = Blueprint("count", api_version="v1", api_endpoint="/count")


@count.handler(is_start=True, is_end=True)
async def start(text: str) -> dict[str, int]:
    """The whole job."""
    return {"words": len(text.split())}


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """True when the holder of the secret sent these bytes in the last five minutes."""
    name, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    text = f"{name}.{timestamp}.".encode() + body
    signature = hmac.digest(b64decode(secret.removeprefix("whsec_")), text, "sha256")
    expected = "v1," + b64encode(signature).decode()
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())


class Receiver:
    """The server of ours. The same news may come twice, with the same id."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Json] = asyncio.Queue()
        self._known: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        """2xx says that we have it; anything else, that it is to be sent again later."""
        body = await request.read()
        name = request.headers.get("webhook-id", "")
        if not is_genuine(WEBHOOK_SECRET, request.headers, body):
            return web.Response(status=401)
        if name not in self._known:
            self._known.add(name)
            print("with a byte more:", is_genuine(WEBHOOK_SECRET, request.headers, body + b" "))
            await self.news.put(await request.json())
        return web.Response(status=204)


async def main() -> None:
    """Our server is on this machine. That has to be allowed: webhooks go to public addresses by HTTPS."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"

    async with serving(count, WEBHOOK_ALLOW_HTTP="true", WEBHOOK_ALLOW_PRIVATE="true") as client:
        await client.post("/v1/count", {"initial_data": {"text": "to be or not to be"}, "webhook_url": url})
        news = await receiver.news.get()
        print(news["event"], news["status"], news["result"])
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
