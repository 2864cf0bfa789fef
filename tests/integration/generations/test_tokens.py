"""Who may come in as a worker: with the common token, one of its own, or one for a while (feature E1)."""

from pathlib import Path
from typing import Any

import pytest

from avtomatika.commands.passes import ACCESS, GRACE, Passes
from avtomatika.commands.roll import Listed, Roll, digest
from avtomatika.errors import ConfigError, Forbidden, Unauthorized
from avtomatika.kernel.time import Instant
from avtomatika.ports.node import NodeContext
from avtomatika.settings.workers import read_tokens
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from rxon.messages import TokenAnswer
from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G4, SIGNING, Speaker
from tests.integration.http.conftest import OPERATOR_TOKEN, WORKER_TOKEN, Orchestrator, Start

OWN = "the-own-token-of-cam-01"
GROUP = "the-token-of-all-lab-machines"
FILE = f"""
[cam-01]
token = "{OWN}"
["pattern:lab-*"]
token_sha256 = "{digest(GROUP).hex()}"
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "workers.toml"
    path.write_text(FILE)
    return path


async def came_in(speaker: Speaker) -> bool:
    status, answer = await speaker.register()
    assert status in (200, 401), answer
    if status == 401:
        assert isinstance(answer["server_time"], int)
    return status == 200


@pytest.mark.parametrize("kind", EVERY)
async def test_a_worker_with_a_token_of_its_own_comes_in_with_no_other(
    start: Start, tokens: Path, kind: type[Speaker]
) -> None:
    node = await start(single(), WORKERS_CONFIG_PATH=tokens)
    for worker_id, token, welcome in (
        ("cam-01", OWN, True),
        ("cam-01", WORKER_TOKEN, False),
        ("cam-01", GROUP, False),
        ("cam-02", OWN, False),
        ("cam-02", WORKER_TOKEN, True),
        ("lab-7", GROUP, True),
        ("lab-7", WORKER_TOKEN, False),
        ("lab-7", OWN, False),
        ("cam-02", GROUP, False),
    ):
        assert await came_in(kind(node, worker_id, token)) is welcome, (worker_id, token)


async def test_operators_have_the_tokens_read_again(start: Start, tokens: Path) -> None:
    node = await start(single(), WORKERS_CONFIG_PATH=tokens)
    path = "/api/v1/admin/reload-workers"
    tokens.write_text(f'[cam-02]\ntoken = "{GROUP}"\n')
    assert (await node.post(path))[0] == 403  # a client
    assert await node.post(path, token=OPERATOR_TOKEN) == (200, {"status": "worker_configs_reloaded"})
    assert not await came_in(G4(node, "cam-01", OWN))
    assert await came_in(G4(node, "cam-01", WORKER_TOKEN))
    assert await came_in(G4(node, "cam-02", GROUP))
    tokens.write_text("[cam-02\n")
    status, answer = await node.post(path, token=OPERATOR_TOKEN)
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert await came_in(G4(node, "cam-02", GROUP))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a\n", "cannot be read"),
        ('["a b"]\ntoken = "long-enough-for-all"', "is no worker id"),
        ('[a]\ntoken = "short"', "shorter than"),
        ("[a]", "either token or token_sha256"),
        ('[a]\ntoken = "long-enough-for-all"\ntoken_sha256 = "00"', "either token or token_sha256"),
        ('[a]\ntoken_sha256 = "00"', "not 64 hexadecimal digits"),
        ('[a]\ntokne = "long-enough-for-all"', "tokne"),
        ('[a]\npublic_key = "no key"', "no Ed25519 key in PEM"),
        ("a = 1", "must have a token"),
    ],
)
def test_a_file_that_is_not_usable_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "workers.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_tokens(path)


def test_no_token_is_kept_that_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "workers.toml"
    path.write_text(FILE)
    kept = repr(vars(Roll("for everybody", read_tokens(path))))
    assert not any(token in kept for token in (OWN, GROUP, "for everybody"))


def test_the_first_pattern_that_fits_counts() -> None:
    roll = Roll("common", {"pattern:lab-*": Listed.of("one"), "pattern:lab-7*": Listed.of("two")})
    assert roll.opens("one", "lab-77")
    assert not roll.opens("two", "lab-77")
    assert not roll.opens("common", "lab-77")


# ------------------------------------------------------------------ tokens for a while


async def issued(speaker: Speaker) -> dict[str, Any]:
    status, answer = await speaker.call("POST", "/_worker/auth/token")
    assert status == 200, answer
    assert answer.keys() == {"access_token", "expires_in", "worker_id", "refresh_token"}
    assert (answer["worker_id"], answer["expires_in"]) == (speaker.id, 3_600)
    assert isinstance(answer, dict)
    return answer


async def renewed(node: Orchestrator, token: str, **headers: str) -> tuple[int, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/_worker/auth/token/refresh"
    return await node.call("POST", path, {"refresh_token": token}, headers=given)


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("key", ["own", "access"])
async def test_a_token_for_a_while_opens_like_the_one_it_stands_for(
    start: Start, tokens: Path, kind: type[G4], key: str
) -> None:
    node = await start(single(), WORKERS_CONFIG_PATH=tokens)
    speaker = kind(node, "cam-01", OWN, signed=True)
    answer = await issued(speaker)
    speaker.token = answer["access_token"]
    speaker.key = OWN if key == "own" else answer["access_token"]
    assert (await speaker.register())[0] == 200
    job = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    assert (await speaker.report(await speaker.take(), data={"n": 1}))[0] == 200
    assert (await node.ended(job))["result"] == {"n": 1}
    stranger = kind(node, "cam-02", answer["access_token"])
    status, refusal = await stranger.register()
    assert status == 401
    assert refusal["error"] == "Unauthorized: Access Token belongs to 'cam-01', but request is for 'cam-02'"


async def test_whose_a_token_is_shows_in_the_credential_or_in_the_hint(start: Start, tokens: Path) -> None:
    node = await start(single(), WORKERS_CONFIG_PATH=tokens)
    path = "/_worker/auth/token"
    status, answer = await node.call("POST", path, headers={"X-Worker-Token": OWN})
    assert (status, answer["worker_id"]) == (200, "cam-01")
    hint = {"X-Worker-Token": WORKER_TOKEN, "X-Worker-ID": "cam-09"}
    status, answer = await node.call("POST", path, headers=hint)
    assert (status, answer["worker_id"]) == (200, "cam-09")
    status, answer = await node.call("POST", path, headers={"X-Worker-Token": WORKER_TOKEN})
    assert (status, answer["field"]) == (400, "X-Worker-ID")
    assert (await node.call("POST", path))[0] == 401


async def test_a_token_that_renews_is_good_for_one_time(start: Start) -> None:
    node = await start(single())
    first = await issued(G4(node, "cam-04"))
    status, second = await renewed(node, first["refresh_token"], X_Worker_ID="cam-04")
    assert status == 200
    assert len({first["access_token"], second["access_token"]}) == 2
    assert (await G4(node, "cam-04", second["access_token"]).register())[0] == 200
    assert (await renewed(node, second["refresh_token"], X_Worker_ID="cam-05"))[0] == 403
    assert (await renewed(node, second["refresh_token"]))[0] == 200
    assert (await renewed(node, "never given out"))[0] == 401
    status, answer = await node.call("POST", "/_worker/auth/token/refresh", {})
    assert (status, answer["error"]) == (400, "Missing refresh_token in payload")


async def test_tokens_for_a_while_go_with_the_token_they_stand_for(start: Start, tokens: Path) -> None:
    node = await start(single(), WORKERS_CONFIG_PATH=tokens)
    answer = await issued(G4(node, "cam-01", OWN))
    tokens.write_text("")
    await node.post("/api/v1/admin/reload-workers", token=OPERATOR_TOKEN)
    assert not await came_in(G4(node, "cam-01", answer["access_token"]))
    assert (await renewed(node, answer["refresh_token"]))[0] == 401


class Hand:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 1_800_000_000_000

    def now(self) -> Instant:
        return Instant(self.at)

    async def sleep_until(self, when: Instant) -> None:
        raise AssertionError(when)


class Counted:
    """Tokens that are numbers."""

    def __init__(self) -> None:
        self.last = 0

    def token(self) -> str:
        self.last += 1
        return f"{self.last:032}"

    def job(self, now: Instant) -> Any:
        raise AssertionError(now)


def passes() -> tuple[Passes, Hand, MemoryRegistry]:
    clock, names, registry = Hand(), Counted(), MemoryRegistry()
    store = MemoryStore(now=clock.now, tokens=names.token)
    node = NodeContext(store, clock, names, lambda *_, **__: pytest.fail("nothing is spawned"), "n")
    return Passes(node, registry, Roll("secret")), clock, registry


async def test_a_lost_answer_is_forgiven_for_a_moment() -> None:
    given, clock, _ = passes()
    first = await given.issue("w", "secret")
    await given.renew("w", renewal(first))
    clock.at += GRACE
    again = await given.renew("w", renewal(first))
    assert await given.of(again.access_token) is not None


async def test_a_token_that_is_used_again_later_ends_its_whole_family() -> None:
    given, clock, _ = passes()
    first, other = await given.issue("w", "secret"), await given.issue("w", "secret")
    second = await given.renew("w", renewal(first))
    clock.at += GRACE + 1
    with pytest.raises(Unauthorized):
        await given.renew("w", renewal(first))
    for token in (first.access_token, second.access_token):
        assert await given.of(token) is None
    with pytest.raises(Unauthorized):
        await given.renew("w", renewal(second))
    assert await given.of(other.access_token) is not None


async def test_a_token_for_a_while_is_good_for_a_while() -> None:
    given, clock, _ = passes()
    answer = await given.issue("w", "secret")
    clock.at += answer.expires_in * 1_000 - 1
    found = await given.of(answer.access_token)
    assert found is not None
    assert (found[0].worker, found[1]) == ("w", "secret")
    clock.at += 1
    assert await given.of(answer.access_token) is None
    with pytest.raises(Forbidden):
        await given.renew("other", renewal(answer))


async def test_what_is_kept_of_a_token_opens_nothing() -> None:
    given, clock, registry = passes()
    answer = await given.issue("w", "secret")
    (doc,) = await registry.scan(ACCESS, now=clock.now())
    assert answer.access_token not in doc.key
    assert b"secret" not in doc.body
    assert await given.of(doc.key) is None


def renewal(answer: TokenAnswer) -> str:
    assert answer.refresh_token is not None
    return answer.refresh_token
