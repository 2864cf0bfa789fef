"""What is shipped as examples is what this implementation does, on both sides."""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from avtomatika.kernel.model import Order
from avtomatika.matching.compliance import Skill, WorkerProfile, reasons
from avtomatika_worker import SkillBlueprint, WorkerConfig
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog
from rxon.attachments import parse_uri, s3_config_hash
from rxon.canonical import Form, canonical
from rxon.codec import encode
from rxon.errors import ProtocolError
from rxon.messages import SkillInfo
from rxon.requirements import Machine, lacks, parse
from rxon.signing import chain, key_pair, shared_key
from rxon.signing.content import EVENT_IGNORES, TASK_IGNORES, signed_bytes
from rxon.signing.freshness import is_fresh
from rxon.skills_hash import skills_hash
from rxon.testing.vectors import NAMES, load
from tests.conformance import make_vectors
from tests.conformance.cases_of_signing import EVENT, HOP, TASK
from tests.conformance.oracle_json import canonical_text

Case = dict[str, Any]
each = pytest.mark.parametrize


def cases(name: str) -> pytest.MarkDecorator:
    found = load(name)
    return each("case", found, ids=[case["name"][:60] for case in found])


def test_the_files_are_what_the_generator_makes() -> None:
    made = make_vectors.files()
    assert sorted(made) == list(NAMES)
    for name, text in made.items():
        assert (make_vectors.FOLDER / f"{name}.json").read_text("ascii") == text, name


def test_there_are_many() -> None:
    assert sum(len(load(name)) for name in NAMES) >= 500


def test_the_members_that_are_left_out_are_those_of_the_generator() -> None:
    assert {*EVENT} == EVENT_IGNORES
    assert {*TASK} == TASK_IGNORES
    assert {*HOP} == chain.HOP_IGNORES


@cases("canonical")
def test_canonical(case: Case) -> None:
    found = canonical(case["json"].encode(), without=case["without"], form=Form(case["form"]))
    assert found.decode() == case["text"]


@cases("canonical")
def test_canonical_bytes_are_their_own_canonical_form(case: Case) -> None:
    form = Form(case["form"])
    assert canonical(case["text"].encode(), form=form).decode() == case["text"]


@cases("refused")
def test_refused(case: Case) -> None:
    with pytest.raises(ProtocolError):
        canonical(bytes.fromhex(case["hex"]))


@cases("hmac")
def test_hmac(case: Case) -> None:
    body, ignore, form = case["json"].encode(), case["ignore"], Form(case["form"])
    assert signed_bytes(body, ignore, form).decode() == case["message"]
    assert shared_key.sign(body, case["key"], ignore=ignore, form=form) == case["signature"]
    assert shared_key.verify(body, case["signature"], case["key"], ignore=ignore, forms=list(Form))
    assert not shared_key.verify(body, case["signature"], case["key"] + "x", ignore=ignore, forms=list(Form))


@cases("ed25519")
def test_ed25519(case: Case) -> None:
    body, ignore = case["json"].encode(), case["ignore"]
    assert signed_bytes(body, ignore).decode() == case["message"]
    assert key_pair.sign(body, case["private_pem"], ignore=ignore) == case["signature"]
    assert key_pair.verify(body, case["signature"], case["public_pem"], ignore=ignore)
    other = b'{"!":1}'
    assert not key_pair.verify(other, case["signature"], case["public_pem"], ignore=ignore)


@cases("chains")
def test_chains(case: Case) -> None:
    hops, key, expected = case["chain"], case["key"], case["hmac"]
    if case["kind"] == "hop":
        assert chain.sign_hop(case["json"].encode(), hops, key) == expected
        return
    assert chain.chain_bytes(hops).decode() == case["message"]
    assert chain.sign_chain(hops, key) == expected
    assert chain.verify_chain(hops, expected, key)
    assert key_pair.sign_chain(hops, case["private_pem"]) == case["ed25519"]
    assert key_pair.verify_chain(hops, case["ed25519"], case["public_pem"])
    assert not key_pair.verify_chain([*hops[:-1], "other"], case["ed25519"], case["public_pem"])


@cases("freshness")
def test_freshness(case: Case) -> None:
    assert is_fresh(case["timestamp"], case["now"]) is case["fresh"]


@cases("addresses")
def test_addresses(case: Case) -> None:
    given = (case["uri"], case["default_bucket"], case["prefix"])
    if case["parts"] is None:
        with pytest.raises(ProtocolError):
            parse_uri(*given)
    else:
        assert parse_uri(*given)._asdict() == case["parts"]


@cases("hashes")
def test_hashes(case: Case) -> None:
    if case["kind"] == "s3_config_hash":
        assert s3_config_hash(case["endpoint"], case["access_key"], case["bucket"]) == case["hash"]
        return
    skills = msgspec.convert(case["skills"], list[SkillInfo])
    assert skills_hash(skills, case["capabilities"], case["extra"]) == case["hash"]


@cases("matching")
def test_matching(case: Case) -> None:
    machine = msgspec.convert(case["machine"], Machine)
    assert sorted({*lacks(parse(case["requirements"]), machine, case["skill"])}) == case["missing"]


@cases("matching")
def test_matching_as_the_server_does_it(case: Case) -> None:
    declared = {"name": "any", **case["skill"]}
    known = {name: declared.get(name) for name in ("name", "type", "version")}
    skill = Skill(**known, properties={k: v for k, v in declared.items() if k not in known})
    machine = msgspec.convert(case["machine"], Machine)
    worker = WorkerProfile("w", 1, {skill.name: skill}, machine=machine)
    order = Order(skill=skill.name, requirements=msgspec.Raw(msgspec.json.encode(case["requirements"])))
    assert sorted({*reasons(order, worker)}) == case["missing"]


def test_the_hash_that_a_worker_of_ours_sends_is_that_of_what_it_sends() -> None:
    skills = SkillBlueprint()
    skills.skill("blur", input_schema={"type": "object", "default": None, "minimum": 1.0})(lambda: None)
    skills.skill("ocr", version="2", languages=["en", None])(lambda: None)
    config = WorkerConfig({"WORKER_ID": "w", "COST_PER_SKILL": '{"blur":2.0}', "WORKER_EXTRA_ZONE": "eu"})
    sent = json.loads(encode(Profile(config, "x", Catalog(skills), HotCache({})).registration(Openings(1))))
    capabilities = sent["capabilities"]
    described = {
        "skills": sent["supported_skills"],
        "capabilities": capabilities["cost_per_skill"],
        "extra": capabilities["extra"],
    }
    expected = sha256(canonical_text(json.dumps(described)).encode()).hexdigest()
    assert sent["skills_hash"] == expected
