"""Whatever comes in, the answer is a documented one, no job has changed, and the log has no trace."""

import gzip
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from avtomatika.app import parts as composition
from tests.integration.http.blueprints import fan, flow, straight
from tests.integration.http.conftest import (
    CLIENT_TOKEN,
    OTHER_TOKEN,
    STORES,
    WORKER_TOKEN,
    Orchestrator,
    alarming,
    started,
    storage_url,
    two_clients,
)
from tests.integration.http.raw import exchange, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 65_536
Headers = tuple[tuple[str, str], ...]

AS_CLIENT: Headers = (("X-Client-Token", CLIENT_TOKEN),)
AS_OTHER: Headers = (("X-Client-Token", OTHER_TOKEN),)
AS_WORKER: Headers = (("X-Worker-Token", WORKER_TOKEN),)
ANYBODY: Headers = ()

CREATE = "POST /api/v1/jobs/flow"
EVENT = "POST /api/v1/jobs/<queued>/events/paid"
GRAPH = "GET /api/v1/blueprints/flow/graph"
READ = "GET /api/v1/jobs/"
LIST = "GET /api/v1/jobs"
REGISTER = "POST /_worker/workers/register"
HEARTBEAT = "PATCH /_worker/workers/w1"
POLL = "GET /_worker/workers/w1/tasks/next"
RESULT = "POST /_worker/tasks/result"
RESULTS = "POST /_worker/tasks/results"


class Case(NamedTuple):
    """A request, and what must be answered. `<job>` and the like stand for names of the running node."""

    name: str
    call: str
    status: int
    code: str
    field: str | None = None
    body: bytes = b""
    headers: Headers | None = None
    chunked: bool = False

    @property
    def credentials(self) -> Headers:
        if self.headers is not None:
            return self.headers
        return AS_WORKER if "/_worker" in self.call else AS_CLIENT


def js(value: Any) -> bytes:
    return json.dumps(value).encode()


def client_envelope(**members: Any) -> bytes:
    return js({"initial_data": {}, **members})


# ------------------------------------------------------------------ bodies that are no JSON object

NOT_JSON = {
    "unfinished": b'{"a":',
    "unquoted": b"{a: 1}",
    "single-quotes": b"{'a': 1}",
    "two-values": b"{} {}",
    "trailing-comma": b'{"a":1,}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "minus-infinity": b'{"a":[-Infinity]}',
    "1e999": b'{"a":{"b":1e999}}',
    "minus-1e999": b'{"a":-1e999}',
    "leading-zero": b'{"a":012}',
    "lone-high-surrogate": b'{"a":"\\ud800"}',
    "lone-low-surrogate": b'{"a":["\\udc00 x"]}',
    "surrogate-in-a-key": b'{"\\ud800":1}',
    "surrogate-as-utf-8": b'{"a":"\xed\xa0\x80"}',
    "invalid-utf-8": b'{"a":"\xff"}',
    "invalid-utf-8-in-a-key": b'{"\xff":1}',
    "cut-utf-8": b'{"a":"\xe2\x82"}',
    "latin-1": '{"a":"é"}'.encode("latin-1"),
    "utf-16": '{"a":1}'.encode("utf-16"),
    "control-character": b'{"a":"\x00"}',
    "form-feed": b"\x0c{}",
    "zero-bytes": b"\x00" * 16,
    "deep-lists": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep-objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep-and-unfinished": b"[" * 60_000,
    "form": b"a=1&b=2",
}
DECODED_LATE = ("1e999", "minus-1e999")
NO_OBJECT = {"list": b"[{}]", "text": b'"text"', "number": b"3", "true": b"true", "null": b"null"}


def broken_bodies() -> Iterator[Case]:
    for name, body in NOT_JSON.items():
        field = None
        code = "invalid_json"
        yield Case(f"create-{name}", CREATE, 400, code, field, body)
        yield Case(f"create-envelope-{name}", CREATE, 400, code, field, b'{"initial_data":' + body + b"}")
        yield Case(f"event-{name}", EVENT, 400, code, field, body)
        for call, endpoint in WORKER_BODIES.items():
            if not (call == HEARTBEAT and name in DECODED_LATE):  # fields that nobody reads are not decoded
                yield Case(f"{endpoint}-{name}", call, 400, "invalid_message", None, body)
        result = b'{"job_id":"<job>","task_id":"<task>","worker_id":"w1","lease_token":"<token>","data":'
        field = "data" if name in DECODED_LATE else None
        yield Case(f"result-data-{name}", RESULT, 400, "invalid_message", field, result + body + b"}")
    for name, body in NO_OBJECT.items():
        yield Case(f"create-{name}", CREATE, 400, "invalid_input", "body", body)
        yield Case(f"event-{name}", EVENT, 400, "invalid_input", "body", body)
        yield Case(
            f"create-envelope-{name}",
            CREATE,
            400,
            "invalid_input",
            "initial_data",
            b'{"initial_data":' + body + b"}",
        )
        for call, endpoint in WORKER_BODIES.items():
            yield Case(f"{endpoint}-{name}", call, 400, "invalid_message", None, body)


WORKER_BODIES = {REGISTER: "register", HEARTBEAT: "heartbeat", RESULT: "result", RESULTS: "results"}


# ------------------------------------------------------------------ bodies that are too large


def large_bodies() -> Iterator[Case]:
    large = js({"a": "x" * LIMIT})
    bomb = gzip.compress(b'{"a":"' + b"x" * 20 * LIMIT + b'"}')
    for call, endpoint in {CREATE: "create", EVENT: "event", **WORKER_BODIES}.items():
        credentials = AS_WORKER if "/_worker" in call else AS_CLIENT
        packed = (*credentials, ("Content-Encoding", "gzip"))
        code = "payload_too_large"
        yield Case(f"{endpoint}-large", call, 413, code, None, large)
        yield Case(f"{endpoint}-large-chunked", call, 413, code, None, large, chunked=True)
        yield Case(f"{endpoint}-ten-times-chunked", call, 413, code, None, large * 10, chunked=True)
        yield Case(f"{endpoint}-large-inflated", call, 413, code, None, bomb, packed)
        invalid = "invalid_message" if "/_worker" in call else "invalid_json"
        yield Case(f"{endpoint}-not-gzip", call, 400, invalid, None, b"no gzip at all", packed)
        yield Case(f"{endpoint}-cut-gzip", call, 400, invalid, None, bomb[:40], packed)


# ------------------------------------------------------------------ the client API: fields, ids, numbers


def envelopes() -> Iterator[Case]:
    wrong: dict[str, list[Any]] = {
        "initial_data": [None, [], "text", 3, True],
        "webhook_url": [3, [], {}, True, ""],
        "dispatch_timeout": ["30", [], {}, True, 0, -1, 1e300, 10**30],
        "result_timeout": ["30", [], {}, False, 0, -0.5, 1e10],
    }
    for field, values in wrong.items():
        for value in values:
            name = f"create-{field}-{str(value)[:12] or 'empty'}"
            yield Case(name, CREATE, 400, "invalid_input", field, client_envelope(**{field: value}))
    for field in ("webhok_url", "tenant", "state", "", "\u2028"):
        yield Case(
            f"create-unknown-{field}", CREATE, 400, "invalid_input", field, client_envelope(**{field: 1})
        )
    deep = b'{"a":' + b"[" * 65 + b"]" * 65 + b"}"
    yield Case("create-deeper-than-64", CREATE, 400, "invalid_input", "body", deep)
    wide = b'{"a":[' + b"{}," * 99 + b'{"b":' * 70 + b"1" + b"}" * 70 + b"]}"
    yield Case("create-deep-at-the-end", CREATE, 400, "invalid_input", "body", wide)


def keys() -> Iterator[Case]:
    for name, key in {
        "empty": "",
        "blank": "  ",
        "long": "k" * 256,
        "bytes": "\xff\xfe",
        "tab": "a\tb",
    }.items():
        headers = (*AS_CLIENT, ("Idempotency-Key", key))
        code, field = "invalid_input", "Idempotency-Key"
        yield Case(f"create-key-{name}", CREATE, 400, code, field, b"{}", headers)
    headers = (*AS_CLIENT, ("Idempotency-Key", "used"))
    yield Case(
        "create-key-with-another-body", CREATE, 422, "idempotency_key_reused", None, b'{"b":2}', headers
    )
    other_blueprint = "POST /api/v1/jobs/straight"
    yield Case(
        "create-key-at-another-blueprint",
        other_blueprint,
        422,
        "idempotency_key_reused",
        None,
        b"{}",
        headers,
    )


JOB_IDS = {
    "unknown": "01a20167-46e8-72d0-873f-08ce27c3270f",
    "number": "1",
    "dots": "%2e%2e",
    "encoded-slash": "a%2Fb",
    "encoded-slashes": "%2F%2F..%2F..%2Fetc%2Fpasswd",
    "backslash": "..%5c..%5c",
    "zero": "a%00b",
    "newline": "a%0d%0aX-Injected:%201",
    "unicode": "%F0%9F%92%A9",
    "line-separator": "%E2%80%A8",
    "invalid-utf-8": "%FF%FE",
    "surrogate": "%ED%A0%80",
    "percent": "%25",
    "bad-percent": "%zz",
    "long": "x" * 7_000,
    "star": "*",
    "quote": "'%20OR%20'1'='1",
    "of-another-client": "<foreign>",
}


def job_ids() -> Iterator[Case]:
    for name, job in JOB_IDS.items():
        yield Case(f"read-{name}", READ + job, 404, "not_found")
        yield Case(f"read-and-wait-{name}", f"{READ}{job}?wait=30", 404, "not_found")
        yield Case(f"cancel-{name}", f"POST /api/v1/jobs/{job}/cancel", 404, "not_found")
        yield Case(f"event-{name}-job", f"POST /api/v1/jobs/{job}/events/paid", 404, "not_found", None, b"{}")
        yield Case(f"unversioned-{name}", f"GET /api/jobs/{job}", 404, "not_found")
    for name in ("x" * 256, "%F0%9F%92%A9" * 257):
        yield Case(f"event-named-{name[:9]}", EVENT.replace("paid", name), 400, "invalid_input", "name")
    yield Case("event-over", EVENT.replace("<queued>", "<over>"), 409, "already_over", None, b"{}")
    yield Case("event-without-name", EVENT.replace("paid", ""), 404, "not_found", None, b"{}")
    for blueprint in ("nobody", "%2e%2e", "a%2Fb", "%FF", "x" * 7_000):
        call = GRAPH.replace("flow", blueprint)
        yield Case(f"graph-of-{blueprint[:9]}", call, 404, "not_found")
    for kind in ("", "png", "%FF", "svg%00"):
        yield Case(f"graph-as-{kind}", f"{GRAPH}?format={kind}", 400, "invalid_input", "format")
    yield Case("cancel-over", "POST /api/v1/jobs/<over>/cancel", 409, "already_over")
    yield Case("read-10-kB", READ + "x" * 10_000, 400, "invalid_request")
    yield Case("read-bytes", READ + "\xe9", 400, "invalid_request")


def queries() -> Iterator[Case]:
    refused = {
        "wait": ["", "x", "-1", "61", "nan", "inf", "-inf", "1e999", "1_0x", "0x10", "%00", "%FF", "+"],
        "detailed": ["", "maybe", "2", "%FF"],
        "fields": ["nonsense", "status,nonsense", "__class__", "%FF", "id%00"],
    }
    for field, values in refused.items():
        for value in values:
            call = f"{READ}<queued>?{field}={value}"
            yield Case(f"read-{field}={value}", call, 400, "invalid_input", field)
    listing = {
        "limit": ["", "0", "-1", "1001", "x", "1.5", "1e3", "%D9%A1", "99999999999999999999", "%00", "+5"],
        "status": ["", "nonsense", "FINISHED", "%FF", "finished%00"],
        "after": [
            "",
            "x",
            "~",
            "1~",
            "~x",
            "x~y",
            "-1~x",
            "1.5~x",
            "%C2%B2~x",
            "99999999999999999999~x",
            "9" * 5_000 + "~x",
            "%FF",
            "%00~%00",
        ],
    }
    for field, values in listing.items():
        for value in values:
            yield Case(f"list-{field}={value[:24]}", f"{LIST}?{field}={value}", 400, "invalid_input", field)


# ------------------------------------------------------------------ who is asking


def strangers() -> Iterator[Case]:
    calls = [
        CREATE,
        READ + "<queued>",
        LIST,
        "POST /api/v1/jobs/<queued>/cancel",
        "GET /api/jobs",
        EVENT,
        GRAPH,
    ]
    tokens: dict[str, Headers] = {
        "no-token": ANYBODY,
        "empty": (("X-Client-Token", ""),),
        "wrong": (("X-Client-Token", "wrong"),),
        "prefix": (("X-Client-Token", CLIENT_TOKEN[:-1]),),
        "bytes": (("X-Client-Token", "\xff\xfe"),),
        "long": (("X-Client-Token", "x" * 7_000),),
        "worker": (("X-Client-Token", WORKER_TOKEN),),
        "worker-header": AS_WORKER,
        "old-spelling": (("X-Avtomatika-Token", "wrong"),),
        "bearer": (("Authorization", "Bearer wrong"),),
        "bearer-bytes": (("Authorization", "Bearer \xff"),),
        "bearer-alone": (("Authorization", "Bearer"),),
        "basic": (("Authorization", f"Basic {CLIENT_TOKEN}"),),
        "cookie": (("Cookie", f"X-Client-Token={CLIENT_TOKEN}"),),
        "query": (),
    }
    for name, headers in tokens.items():
        for call in calls:
            asked = f"{call}?X-Client-Token={CLIENT_TOKEN}" if name == "query" else call
            yield Case(f"client-{name}-{call}", asked, 401, "unauthorized", None, b"{}", headers)
    worker_tokens: dict[str, Headers] = {
        "no-token": ANYBODY,
        "empty": (("X-Worker-Token", ""),),
        "wrong": (("X-Worker-Token", "wrong"),),
        "bytes": (("X-Worker-Token", "\xff"),),
        "client": (("X-Worker-Token", CLIENT_TOKEN),),
        "client-header": AS_CLIENT,
        "bearer": (("Authorization", f"Bearer {WORKER_TOKEN}"),),
    }
    bodies = {
        REGISTER: js({"worker_id": "w1"}),
        HEARTBEAT: js({"worker_id": "w1"}),
        POLL: b"",
        RESULT: js({"job_id": "<job>", "task_id": "<task>", "worker_id": "w1", "lease_token": "<token>"}),
        RESULTS: js({"results": []}),
    }
    for name, headers in worker_tokens.items():
        for call, body in bodies.items():
            yield Case(f"worker-{name}-{call}", call, 401, "unauthorized", None, body, headers)


def other_names() -> Iterator[Case]:
    as_w2 = (*AS_WORKER, ("X-Worker-ID", "w2"))
    yield Case("register-as-another", REGISTER, 403, "forbidden", None, js({"worker_id": "w1"}), as_w2)
    yield Case("heartbeat-as-another", HEARTBEAT, 403, "forbidden", None, b"", as_w2)
    yield Case("poll-as-another", POLL, 403, "forbidden", None, b"", as_w2)
    yield Case("heartbeat-for-another", HEARTBEAT, 403, "forbidden", None, js({"worker_id": "w2"}))
    result = js({"job_id": "<job>", "task_id": "<task>", "worker_id": "w1", "lease_token": "<token>"})
    yield Case("result-as-another", RESULT, 403, "forbidden", None, result, as_w2)
    bad_id = (*AS_WORKER, ("X-Worker-ID", "\xff\xfe"))
    yield Case("poll-with-bytes-as-id", POLL, 400, "invalid_message", "X-Worker-ID", b"", bad_id)
    yield Case("result-with-bytes-as-id", RESULT, 400, "invalid_message", "X-Worker-ID", result, bad_id)
    nameless = js({"job_id": "<job>", "task_id": "<task>", "lease_token": "<token>"})
    yield Case("result-of-nobody", RESULT, 400, "invalid_message", "worker_id", nameless)


# ------------------------------------------------------------------ the worker API

WORKER_IDS = {
    "space": "a%20b",
    "slash": "a%2Fb",
    "unicode": "%C3%A9",
    "digit": "%D9%A1",
    "dots": "%2e%2e",
    "star": "*",
    "newline": "a%0A",
    "invalid-utf-8": "%FF",
    "129": "w" * 129,
    "7-kB": "w" * 7_000,
}


def worker_ids() -> Iterator[Case]:
    for name, worker in WORKER_IDS.items():
        code, field = "invalid_message", "worker_id"
        yield Case(f"poll-id-{name}", f"GET /_worker/workers/{worker}/tasks/next", 400, code, field)
        yield Case(f"heartbeat-id-{name}", f"PATCH /_worker/workers/{worker}", 400, code, field)
    for name, worker in {"empty": "", "space": "a b", "slash": "a/b", "long": "w" * 129, "nul": "\0"}.items():
        body = js({"worker_id": worker})
        yield Case(f"register-id-{name}", REGISTER, 400, "invalid_message", "worker_id", body)
    code = "worker_not_found"
    yield Case("poll-unknown", "GET /_worker/workers/stranger/tasks/next", 404, code)
    yield Case(
        "heartbeat-unknown", "PATCH /_worker/workers/stranger", 404, code, None, js({"status": "idle"})
    )
    yield Case("empty-heartbeat-unknown", "PATCH /_worker/workers/stranger", 404, code)


def polls() -> Iterator[Case]:
    refused = {
        "limit": ["", "0", "-1", "1001", "x", "1.5", "1e1", "%D9%A1", "9" * 30, "%00", "%FF"],
        "timeout": ["", "-1", "x", "nan", "inf", "-inf", "1e999", "%00", "%FF"],
    }
    for field, values in refused.items():
        for value in values:
            yield Case(f"poll-{field}={value}", f"{POLL}?{field}={value}", 400, "invalid_message", field)


def worker_fields() -> Iterator[Case]:
    result = {"job_id": "<job>", "task_id": "<task>", "worker_id": "w1", "lease_token": "<token>"}
    skill = {"name": "work"}
    wrong: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
        REGISTER: (
            {"worker_id": "w1"},
            {
                "worker_id": [None, 1, [], {}],
                "worker_type": [3, None, []],
                "supported_skills": [3, "work", {}, ["work", 3], [3], [{}], [{**skill, "type": 3}]],
                "available_skills": [3, "work", [3]],
                "capabilities": [3, [], {"cost_per_skill": {"work": "x"}}, {"cost_per_skill": []}],
                "resources": [3, [], {"devices": 1}],
                "timestamp": ["x", [], True, 1e300],
                "max_concurrent_tasks": ["x", 1.5, []],
                "skills_hash": [3, []],
            },
        ),
        HEARTBEAT: (
            {"worker_id": "w1"},
            {
                "worker_id": [1, [], {}],
                "status": [3, [], {}],
                "current_tasks": [3, "x", {}, [3], [None], [["x"]]],
                "supported_skills": [3, ["work"], [{}]],
                "usage": [3, {"cpu_load_percent": "x"}],
                "timestamp": ["x", 1e300],
            },
        ),
        RESULT: (
            result,
            {
                "job_id": [None, 1, [], {}],
                "task_id": [None, 1, [], {}],
                "worker_id": [1, [], {}],
                "status": [None, 3, [], {}],
                "error": [3, [], {}, {"code": 3, "message": "x"}, {"code": "X"}, {"message": "x"}],
                "lease_token": [3, [], {}],
                "timestamp": ["x", [], 1e300],
                "costs": [3, []],
            },
        ),
    }
    for call, (good, fields) in wrong.items():
        for field, values in fields.items():
            for value in values:
                name = f"{WORKER_BODIES[call]}-{field}-{json.dumps(value)[:24]}"
                blamed = None if value == 1e300 else "*"
                yield Case(name, call, 400, "invalid_message", blamed, js({**good, field: value}))
        for field in good:
            if call != HEARTBEAT and field not in ("worker_id", "lease_token"):
                rest = js({name: value for name, value in good.items() if name != field})
                yield Case(f"{WORKER_BODIES[call]}-no-{field}", call, 400, "invalid_message", field, rest)
    yield Case("register-no-worker_id", REGISTER, 400, "invalid_message", "worker_id", b"{}")
    for value in (3, "x", {}, [3], [[]], [{}]):
        name = f"results-{json.dumps(value)}"
        yield Case(name, RESULTS, 400, "invalid_message", "*", js({"results": value}))
    yield Case("results-none", RESULTS, 400, "invalid_message", "results", b"{}")
    many = js({"results": [{"job_id": "j", "task_id": "t"}] * 1_001})
    yield Case("results-1001", RESULTS, 400, "invalid_message", "results", many)


TASK_IDS = {
    "empty": "",
    "word": "x",
    "job": "<job>",
    "two-parts": "x-1",
    "three-parts": "x-1-1",
    "four-parts": "x-1-1-1",
    "words": "x-a-b-c-d",
    "no-delivery": "<opened>-1",
    "negative": "<opened>-1--1",
    "sign": "<opened>-+1-1",
    "underscore": "<opened>-1-1_0",
    "space": "<opened>-1- 1",
    "other-digits": "<opened>-1-\u0661",
    "fraction": "<opened>-1-1.0",
    "leading-zero": "<opened>-01-1",
    "zero-byte": "<opened>-1-1\0",
    "5000-digits": "<opened>-1-" + "9" * 5_000,
    "10-kB": "x" * 10_000 + "-1-1-1-1",
}


def task_ids() -> Iterator[Case]:
    for name, task in TASK_IDS.items():
        for token in ("<token>", None):
            body = {"job_id": "<job>", "task_id": task, "worker_id": "w1", "lease_token": token}
            case = f"result-task-{name}{'' if token else '-no-token'}"
            yield Case(case, RESULT, 400, "invalid_message", "task_id", js(body))


REASONS = {
    **dict.fromkeys(("unknown-job", "odd-job", "empty-job", "long-job"), "job_not_found"),
    **dict.fromkeys(("job-that-is-over", "reported-before"), "job_already_terminated"),
    **dict.fromkeys(("of-another-worker", "of-a-stranger", "of-an-odd-worker"), "worker_mismatch"),
}
"""Why results of workers that know nothing of leases are ignored, where it is not that they are late."""


def stale_results() -> Iterator[Case]:
    own = {"job_id": "<job>", "task_id": "<task>", "worker_id": "w1", "lease_token": "<token>"}
    other = {
        "unknown-job": {"job_id": "01a20167-46e8-72d0-873f-08ce27c3270f"},
        "odd-job": {"job_id": "../../etc/passwd\0"},
        "empty-job": {"job_id": ""},
        "long-job": {"job_id": "j" * 10_000},
        "task-of-another-job": {"job_id": "<queued>"},
        "job-of-another-client": {"job_id": "<foreign>"},
        "job-that-is-over": {"job_id": "<over>"},
        "other-task": {"task_id": "<opened>0-1-1"},
        "other-attempt": {"task_id": "<opened>-2-1"},
        "other-delivery": {"task_id": "<opened>-1-2"},
        "old-delivery": {"task_id": "<opened>-1-0"},
        "far-delivery": {"task_id": "<opened>-1-99999999999999999999"},
        "of-another-worker": {"worker_id": "w2"},
        "of-a-stranger": {"worker_id": "stranger"},
        "reported-before": {"job_id": "<reported_job>", "task_id": "<reported>", "data": {"other": 1}},
        "never-leased": {"job_id": "<queued>", "task_id": "<queued>-2-0-1-1"},
    }
    other["of-an-odd-worker"] = {"worker_id": "a b/../\u2028"}
    tokens = {"wrong-token": "wrong", "empty-token": "", "odd-token": "\u2028\0", "long-token": "t" * 9_000}
    for name, changed in other.items():
        body = {**own, **changed}
        yield Case(f"result-{name}", RESULT, 409, "stale_lease", None, js(body))
        del body["lease_token"]
        yield Case(f"old-result-{name}", RESULT, 200, REASONS.get(name, "stale_task"), None, js(body))
    for name, token in tokens.items():
        yield Case(f"result-{name}", RESULT, 409, "stale_lease", None, js({**own, "lease_token": token}))


# ------------------------------------------------------------------ paths and methods


def wrong_ways() -> Iterator[Case]:
    methods = {
        "/api/v1/jobs": ("PUT", "PATCH", "DELETE", "POST"),
        "/api/v1/jobs/flow": ("PUT", "PATCH", "DELETE"),
        "/api/v1/jobs/<queued>": ("PUT", "PATCH", "DELETE", "POST"),
        "/api/v1/jobs/<queued>/cancel": ("GET", "PUT", "DELETE"),
        "/api/v1/jobs/<queued>/events/paid": ("GET", "PUT", "DELETE"),
        "/api/v1/blueprints/flow/graph": ("POST", "PUT", "DELETE"),
        "/_public/status": ("POST", "PUT", "DELETE"),
        "/_public/ready": ("POST", "DELETE"),
        "/_worker/workers/w1": ("GET", "POST", "PUT", "DELETE"),
        "/_worker/workers/w1/tasks/next": ("POST", "PUT", "HEAD"),
        "/_worker/tasks/result": ("GET", "PUT", "DELETE"),
        "/_worker/tasks/results": ("GET", "DELETE"),
    }
    for path, wrong in methods.items():
        for method in wrong:
            yield Case(f"{method} {path}", f"{method} {path}", 405, "method_not_allowed", None, b"{}")
    unknown = (
        "/",
        "/api",
        "/api/v2/jobs",
        "/api/v1/job",
        "/api/v1/jobs/",
        "/api/v1/jobs/<queued>/",
        "/favicon.ico",
    )
    unknown += (
        "//api/v1/jobs",
        "/_public/",
        "/_public/debug/flush_db",
        "/../etc/passwd",
        "/%2e%2e/x",
        "/a%00b",
    )
    unknown += (
        "/_worker",
        "/_worker/",
        "/_worker/workers",
        "/_worker/tasks/result/",
        "/_worker/x%FF",
        "/%FF",
    )
    for path in unknown:
        for method in ("GET", "POST"):
            yield Case(f"{method} {path}", f"{method} {path}", 404, "not_found", None, b"{}")
    yield Case("POST an unknown endpoint", "POST /api/v1/jobs/nope/now", 404, "not_found", None, b"{}")
    yield Case("a method that is none", "FOO /api/v1/jobs", 400, "invalid_request")


CASES = [
    *broken_bodies(),
    *large_bodies(),
    *envelopes(),
    *keys(),
    *job_ids(),
    *queries(),
    *strangers(),
    *other_names(),
    *worker_ids(),
    *polls(),
    *worker_fields(),
    *task_ids(),
    *stale_results(),
    *wrong_ways(),
]


# ------------------------------------------------------------------ the node that they are sent to


class Target:
    """A node with jobs in several situations, and the names of all of them."""

    def __init__(self, node: Orchestrator) -> None:
        self.node = node
        self.names: dict[str, str] = {}

    @property
    def port(self) -> int:
        assert self.node.engine.address is not None
        return self.node.engine.address[1]

    async def prepare(self) -> None:
        node = self.node
        await node.worker("w2", "nothing")
        worker = await node.worker("w1", "work")
        await node.post("/api/v1/jobs/flow", {}, Idempotency_Key="used")
        await node.create({"n": 1})
        ((reported,), (held,)) = [await worker.poll_batch(1) for _ in range(2)]
        status, _ = await worker.report(reported, {"n": 1})
        assert status == 200
        self.names = {
            "job": held["job_id"],
            "task": held["task_id"],
            "opened": held["task_id"].rsplit("-", 2)[0],
            "token": held["lease_token"],
            "reported": reported["task_id"],
            "reported_job": reported["job_id"],
            "queued": await node.create({"n": 2}),
            "over": await node.create({}, "/api/v1/jobs/straight"),
        }
        status, body = await node.post("/api/v1/jobs/flow", {"n": 3}, token=OTHER_TOKEN)
        assert status == 202
        self.names["foreign"] = body["job_id"]
        await node.ended(self.names["over"])
        await node.ended(self.names["reported_job"])

    def filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(f"<{name}>", value)
        return text

    async def jobs(self) -> list[Any]:
        """Every job with its version: what no refused request may change."""
        found = []
        for token in (CLIENT_TOKEN, OTHER_TOKEN):
            _, page = await self.node.get("/api/v1/jobs", token=token)
            found += [(job["id"], job["version"], job["status"]) for job in page["jobs"]]
        return found


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=STORES)
async def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    folder: Path = tmp_path_factory.mktemp("node")
    settings = {
        "MAX_BODY_BYTES": LIMIT,
        "TASK_LEASE_SECONDS": 600,
        "WORKER_HEALTH_CHECK_INTERVAL_SECONDS": 600,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "access_of", two_clients)
        engine = await started(storage_url(request.param, folder), (flow(), straight(), fan()), settings)
    async with aiohttp.ClientSession() as session:
        target = Target(Orchestrator(engine, session))
        await target.prepare()
        yield target
    await engine.stop()


def named(case: Case) -> str:
    return case.name.encode("unicode_escape").decode()


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_bad_input_is_answered_by_name_and_changes_nothing(
    case: Case, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    before = await target.jobs()
    method, path = target.filled(case.call).split(" ", 1)
    body = case.body
    for name, value in target.names.items():
        body = body.replace(f"<{name}>".encode(), value.encode())
    with caplog.at_level(logging.INFO):
        answer = await exchange(target.port, request(method, path, case.credentials, body, case.chunked))
    assert alarming(caplog.records) == []
    assert await target.jobs() == before
    if method == "HEAD":
        assert answer.status == case.status
        return
    said = answer.json()
    assert answer.status == case.status, said
    assert answer.headers["content-type"].startswith("application/json")
    check_shape(case, path, said)
    if case.status == 405:
        assert answer.headers["allow"]


def check_shape(case: Case, path: str, said: Any) -> None:
    """The members of an error, as documented for clients and for workers."""
    if case.status == 200:
        assert (said["status"], said["reason"]) == ("ignored", case.code)
        return
    if path.startswith("/_worker/"):
        assert isinstance(said["error"], str), said
        assert said["error"], said
        problem = said
    else:
        problem = said["error"]
        assert problem["message"]
        assert problem["request_id"]
    assert problem["code"] == case.code, said
    if case.field == "*":
        assert problem.get("field"), said
    elif case.field is not None:
        assert problem.get("field") == case.field, said


# ------------------------------------------------------------------ bytes that are no request


def head(*lines: str, first: str = "POST /api/v1/jobs/flow HTTP/1.1") -> bytes:
    own = (f"X-Client-Token: {CLIENT_TOKEN}", "Connection: close")
    return "\r\n".join((first, "Host: localhost", *own, *lines, "", "")).encode("latin-1")


NO_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "zeroes": b"\x00" * 64 + b"\r\n\r\n",
    "http-9": b"GET /api/v1/jobs HTTP/9.9\r\n\r\n",
    "smtp": b"EHLO example.org\r\n",
    "no-colon": head("X-Nonsense"),
    "space-before-colon": head("X-A : 1", "Content-Length: 2") + b"{}",
    "zero-in-header": head("X-A: a\0b", "Content-Length: 2") + b"{}",
    "folded-header": head("X-A: a", " b", "Content-Length: 2") + b"{}",
    "header-of-10-kB": head("X-A: " + "a" * 10_000, "Content-Length: 2") + b"{}",
    "negative-length": head("Content-Length: -1") + b"{}",
    "length-in-words": head("Content-Length: two") + b"{}",
    "two-lengths": head("Content-Length: 2", "Content-Length: 3") + b"{}x",
    "length-and-chunks": head("Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "unknown-transfer": head("Transfer-Encoding: x") + b"{}",
    "chunk-size-in-words": head("Transfer-Encoding: chunked") + b"two\r\n{}\r\n0\r\n\r\n",
    "chunk-too-long": head("Transfer-Encoding: chunked") + b"2\r\n{}xx\r\n0\r\n\r\n",
}

BROKEN_OFF = {
    "nothing": b"",
    "half-a-line": b"POST /api/v1/jo",
    "half-a-head": head()[:-2],
    "half-a-body": head("Content-Length: 100") + b'{"a":',
    "half-a-chunk": head("Transfer-Encoding: chunked") + b'64\r\n{"a":',
}


@pytest.mark.parametrize("name", NO_HTTP)
async def test_bytes_that_are_no_request_are_refused_without_a_trace(
    name: str, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    before = await target.jobs()
    with caplog.at_level(logging.INFO):
        answer = await exchange(target.port, NO_HTTP[name])
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert alarming(caplog.records) == []
    assert await target.jobs() == before


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_a_request_that_breaks_off_leaves_nothing(
    name: str, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    before = await target.jobs()
    with caplog.at_level(logging.INFO):
        answer = await exchange(target.port, BROKEN_OFF[name], end=True)
    assert answer.status in (0, 400)
    assert alarming(caplog.records) == []
    assert await target.jobs() == before
