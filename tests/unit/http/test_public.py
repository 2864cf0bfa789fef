"""What anybody may ask while a node starts and drains."""

from aiohttp.test_utils import make_mocked_request

from avtomatika.http.public_api import PublicApi
from avtomatika.ports.store import Durability

PROMISE = Durability(backend="memory", fsync="none", accepted_loss_window_s=None)


async def test_a_node_that_takes_no_requests_says_so() -> None:
    ready = [False]
    api = PublicApi(PROMISE, lambda: ready[0])
    request = make_mocked_request("GET", "/_public/ready")
    assert (await api.ready(request)).status == 503
    ready[0] = True
    assert (await api.ready(request)).status == 200


async def test_a_node_that_is_not_ready_is_alive() -> None:
    api = PublicApi(PROMISE, lambda: False)
    assert (await api.status(make_mocked_request("GET", "/_public/status"))).status == 200
