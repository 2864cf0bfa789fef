"""Vectors of signatures and hashes."""

import hmac
import json
from hashlib import sha256
from random import Random

from tests.conformance.oracle_ed25519 import private_pem, public_pem, signature
from tests.conformance.oracle_json import KEEPS, canonical_text, random_object

Case = dict[str, object]

NEVER = ("security", "_signature")
EVENT = ("bubbling_chain",)
TASK = ("lease_seconds", "lease_token", "orchestrator_signature", "sig", "skill_type", "skill_version")
HOP = ("bubbling_chain", "lease_token", "worker_id")

REGISTRATION = {
    "worker_id": "cam-01",
    "worker_type": "vision",
    "supported_skills": [
        {"name": "blur", "type": "blur", "input_schema": {"type": "object", "required": ["src"]}}
    ],
    "available_skills": ["blur"],
    "resources": {"properties": {"cpu_cores": 8, "ram_gb": 16.0}},
    "installed_software": {"python": "3.12"},
    "installed_artifacts": [],
    "capabilities": {
        "hostname": "h1",
        "ip_address": "10.0.0.7",
        "cost_per_skill": {"blur": 0.5},
        "extra": {"websockets": False},
    },
    "skills_hash": "00ff",
    "timestamp": 1790000000,
    "metadata": None,
}
RESULT = (
    '{"job_id":"j-1","task_id":"task-1","worker_id":"cam-01","status":"success",'
    '"data":{"n":3,"list":[1,null,2.0]},"timestamp":1790000000}'
)
EVENT_SENT = (
    '{"event_id":"e-1","worker_id":"cam-01","origin_worker_id":"cam-01","event_type":"progress",'
    '"payload":{"progress":0.5,"message":"half"},"origin_task_id":"task-1","bubbling_chain":["gw-1"],'
    '"target_job_id":"j-1","target_task_id":"task-1","trace_context":{},"timestamp":1790000000,'
    '"security":{"signature":"cf26","signer_id":"cam-01"}}'
)
TASK_SENT = (
    '{"job_id":"j-1","task_id":"task-1","type":"blur","params":{"src":"a.png"},"tracing_context":{},'
    '"timestamp":1790000000,"step":1}'
)
# Signatures that are known of 1.0b14 and 1.0b17.
PUBLISHED = [
    ("registration", json.dumps(REGISTRATION), "demo-token-1", (),
     "a6f6e076d5ef96117d4c265a2e0d56229b590d907114cdc08e5192a6440a33a6"),
    ("result", RESULT, "demo-token-1", (),
     "22e8384b8e0c461748c36c32b99b5957f8f36e5de3a175f227d11caadb798cec"),
    ("event", EVENT_SENT, "demo-token-1", EVENT,
     "cf266e4d9ac681b21ba621b1be2e2281f358c171a1777b7372a9987e0a449f0e"),
    ("task", TASK_SENT, "orch-key", TASK,
     "077e7e319819a0d41e5e45c7c6e392cf29a6634da3891ac8e872d3634d7b0b96"),
    ("worked", '{"b":1.0,"a":null,"n":{"z":2,"y":null}}', "k", (),
     "2028725bdc1e6470cd3a9849e08511b96cd911ef188c42a579af08778e2f906d"),
]  # fmt: skip
TASK_EXTENDED = TASK_SENT[:-1] + (
    ',"sig":"077e","skill_version":"2","skill_type":"t","lease_token":"t1","lease_seconds":30.0,'
    '"orchestrator_signature":"x"}'
)
NAMED: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("a task with what is added after signing", TASK_EXTENDED, "orch-key", TASK),
    ("an empty object", "{}", "k", ()),
    ("only what is never signed", '{"security":{"signature":"00"},"_signature":"00"}', "k", ()),
    ("a nested member of that name is signed", '{"data":{"security":{"signature":"00"}}}', "k", ()),
    ("a key beyond ASCII", RESULT, "ключ-\U0001f511", ()),
    ("a key of 200 characters", RESULT, "k" * 200, ()),
    ("another order", json.dumps(json.loads(RESULT), indent=1, sort_keys=True), "demo-token-1", ()),
]  # fmt: skip
CHAINS = [
    ["gw-1"],
    ["gw-1", "gw-2"],
    ["gw-2", "gw-1"],
    [],
    ["a"] * 64,
    ["gw-1", "gw-1"],
    ['q"uote', "é", "\U0001f600", "back\\slash", "\n"],
    ["", "x"],
    [f"holon-{n}" for n in range(10)],
]
CATALOGS: list[tuple[str, dict[str, object], str | None]] = [
    (
        "published",
        {"skills": [{"name": "blur", "type": "blur"}], "capabilities": {"blur": 0.5}, "extra": {}},
        "f9302ca038314133a22ad88081ba13171438beffd5aee9c369bcefabd62a2add",
    ),
    ("nothing", {"skills": [], "capabilities": {}, "extra": {}}, None),
    (
        "two skills",
        {"skills": [{"name": "b", "type": "b"}, {"name": "a", "type": "a"}], "capabilities": {}, "extra": {}},
        None,
    ),
    (
        "the other order",
        {"skills": [{"name": "a", "type": "a"}, {"name": "b", "type": "b"}], "capabilities": {}, "extra": {}},
        None,
    ),
    ("a whole cost", {"skills": [{"name": "a"}], "capabilities": {"a": 2.0}, "extra": {"w": False}}, None),
    (
        "a schema",
        {
            "skills": [
                {
                    "name": "a",
                    "version": "2",
                    "input_schema": {
                        "type": "object",
                        "properties": {"x": {"type": "number", "minimum": 1.0, "default": None}},
                    },
                    "output_statuses": ["again"],
                    "properties": {"languages": ["en", None]},
                }
            ],
            "capabilities": {"a": 0.1},
            "extra": {"zone": "eu", "none": None},
        },
        None,
    ),
]  # fmt: skip
STORES = [
    ("http://s3.local:9000", "AK", "bkt", "e33feada8ce3dde3"),
    ("https://s3.example", "ÄK", "bücket", None),
    ("a|b", "c", "d", None),
    ("a", "b|c", "d", None),
]


def hmacs() -> list[Case]:
    """What was published, what is particular, and random messages in every form."""
    cases: list[Case] = []
    for name, text, key, ignore, expected in PUBLISHED:
        case = _hmac(f"published: {name}", text, key, ignore, "r14")
        assert case["signature"] == expected, name
        cases.append(case)
    cases += [_hmac(name, text, key, ignore, "r14") for name, text, key, ignore in NAMED]
    chance = Random(256)
    for n in range(60):
        form = "r14" if n < 30 else chance.choice(list(KEEPS))
        ignore = chance.choice([(), EVENT, TASK, ("a",), ("ключ", "Z")])
        cases.append(
            _hmac(f"random {n}", random_object(chance), f"key-{chance.getrandbits(64):x}", ignore, form)
        )
    return cases


def ed25519() -> list[Case]:
    """Signatures with four keys."""
    chance = Random(25519)
    seeds = [chance.randbytes(32) for _ in range(4)]
    texts = [(f"published: {name}", text, ignore) for name, text, _, ignore, _ in PUBLISHED]
    texts += [(name, text, ignore) for name, text, _, ignore in NAMED[:4]]
    texts += [(f"random {n}", random_object(chance), ()) for n in range(15)]
    cases: list[Case] = []
    for n, (name, text, ignore) in enumerate(texts):
        seed = seeds[n % len(seeds)]
        message = canonical_text(text, "r14", (*NEVER, *ignore))
        cases.append(
            {
                "name": name,
                "json": text,
                "ignore": ignore,
                "private_pem": private_pem(seed),
                "public_pem": public_pem(seed),
                "message": message,
                "signature": signature(seed, message.encode()).hex(),
            }
        )
    return cases


def chains() -> list[Case]:
    """Whole chains with both kinds of keys, and hops of two events."""
    cases: list[Case] = []
    seed = bytes(range(32))
    for n, chain in enumerate(CHAINS):
        message = json.dumps(chain, ensure_ascii=False, separators=(",", ":"))
        cases.append(
            {
                "name": f"whole {n}",
                "kind": "whole",
                "chain": chain,
                "message": message,
                "key": f"chain-key-{n}",
                "hmac": _mac(f"chain-key-{n}", message),
                "private_pem": private_pem(seed),
                "public_pem": public_pem(seed),
                "ed25519": signature(seed, message.encode()).hex(),
            }
        )
    for text in (EVENT_SENT, '{"event_id":"e-2","payload":{"x":1.0,"n":null},"worker_id":"gw-9"}'):
        for n, chain in enumerate(CHAINS):
            digest = sha256(canonical_text(text, "r14", (*NEVER, *HOP)).encode()).hexdigest()
            message = json.dumps([digest, *chain], ensure_ascii=False, separators=(",", ":"))
            cases.append(
                {
                    "name": f"hop {n} of {text[13:16]}",
                    "kind": "hop",
                    "json": text,
                    "chain": chain,
                    "message": message,
                    "key": f"hop-key-{n}",
                    "hmac": _mac(f"hop-key-{n}", message),
                }
            )
    return [case for case in cases if case["kind"] == "whole" or case["chain"]]


def hashes() -> list[Case]:
    """Of skills and of the settings of a store."""
    cases: list[Case] = []
    for name, described, expected in CATALOGS:
        digest = sha256(canonical_text(json.dumps(described)).encode()).hexdigest()
        assert expected in (None, digest), name
        cases.append({"name": f"skills: {name}", "kind": "skills_hash", **described, "hash": digest})
    for endpoint, access_key, bucket, expected in STORES:
        digest = sha256(f"{endpoint}|{access_key}|{bucket}".encode()).hexdigest()[:16]
        assert expected in (None, digest), endpoint
        given = {"endpoint": endpoint, "access_key": access_key, "bucket": bucket}
        cases.append({"name": f"store {endpoint}", "kind": "s3_config_hash", **given, "hash": digest})
    for missing in ("endpoint", "access_key", "bucket"):
        given = {"endpoint": "e", "access_key": "a", "bucket": "b", missing: ""}
        cases.append({"name": f"store without {missing}", "kind": "s3_config_hash", **given, "hash": None})
    return cases


def _hmac(name: str, text: str, key: str, ignore: tuple[str, ...], form: str) -> Case:
    message = canonical_text(text, form, (*NEVER, *ignore))
    return {
        "name": f"{name}, {form}",
        "json": text,
        "key": key,
        "ignore": ignore,
        "form": form,
        "message": message,
        "signature": _mac(key, message),
    }


def _mac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), sha256).hexdigest()
