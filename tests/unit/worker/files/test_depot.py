"""Handlers get files for addresses, and the addresses of their files are reported."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from avtomatika_worker import SkillBlueprint, TaskFiles
from avtomatika_worker.files.depot import Depot
from avtomatika_worker.skills.teller import Told
from rxon.attachments import SHA256, parse_uri
from rxon.messages import FileMetadata
from rxon.storage import ObjectStorage, StorageUnavailable
from tests.unit.rxon.test_storage import names_that_lead_elsewhere
from tests.unit.worker.calling import Bench, Called, offer

pytest.importorskip("obstore")


@pytest.fixture
def storage() -> ObjectStorage:
    return ObjectStorage.memory()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "payloads"


class Storing:
    """Stores what a test begins with, and reads what it ends with."""

    def __init__(self, storage: ObjectStorage, tmp_path: Path) -> None:
        self.storage = storage
        self.file = tmp_path / "to store"

    async def put(self, uri: str, content: bytes = b"content") -> FileMetadata:
        self.file.write_bytes(content)
        return await self.storage.upload(self.file, parse_uri(uri))

    async def get(self, uri: str) -> bytes:
        return b"".join([chunk async for chunk in self.storage.stream(parse_uri(uri))])


@pytest.fixture
def stored(storage: ObjectStorage, tmp_path: Path) -> Storing:
    return Storing(storage, tmp_path)


Call = Callable[..., Any]


@pytest.fixture
def call(storage: ObjectStorage, root: Path) -> Call:
    async def run(handler: Callable[..., Any], params: Any = None, **fields: Any) -> Called:
        skills = SkillBlueprint()
        skills.skill("work")(handler)
        bench = Bench(skills, root)
        bench.runner.depot = Depot(storage, "results", root)
        (outcome,) = await bench.run(offer(params, **fields))
        assert outcome is not None
        data = None if outcome.data is None else msgspec.json.decode(outcome.data)
        return Called(outcome.status, data, outcome.error, outcome)

    return run


async def test_addresses_anywhere_in_the_parameters_become_files(call: Call, stored: Storing) -> None:
    await stored.put("s3://b/deep/photo.jpg", b"photo")
    await stored.put("s3://b/set/1.txt", b"one")
    await stored.put("s3://b/set/sub/2.txt", b"two")
    seen: dict[str, Any] = {}

    async def handler(params: dict[str, Any]) -> None:
        seen.update(params)
        seen["photo"] = Path(params["a"][0]["photo"]).read_bytes()
        seen["two"] = Path(params["set"], "sub", "2.txt").read_bytes()

    called = await call(
        handler, {"a": [{"photo": "s3://b/deep/photo.jpg"}], "set": "s3://b/set/", "n": [1, 2.0, None, "s3"]}
    )
    assert called.status == "success"
    assert (seen["photo"], seen["two"]) == (b"photo", b"two")
    assert Path(seen["a"][0]["photo"]).name == "photo.jpg"
    assert Path(seen["set"]).name == "set"
    assert seen["n"] == [1, 2.0, None, "s3"]


async def test_inputs_of_the_same_name_do_not_collide(call: Call, stored: Storing) -> None:
    uris = [
        "s3://b/a/x.png",
        "s3://b/b/x.png",
        "s3://b/c/x.png/",
        "s3://b/a/x.png",
        "s3://b/d/X.PNG",
        "s3://b/2",
    ]
    for uri in uris:
        await stored.put(uri + "in" if uri.endswith("/") else uri, uri.encode())
    found: list[str] = []

    async def handler(params: dict[str, Any]) -> None:
        found.extend(params["all"])
        for path, uri in zip(params["all"], uris, strict=True):
            assert (Path(path, "in") if uri.endswith("/") else Path(path)).read_bytes() == uri.encode()

    assert (await call(handler, {"all": uris})).status == "success"
    assert found[0] == found[3]
    assert len(set(found)) == len(uris) - 1
    assert {Path(path).name.lower() for path in found} == {"x.png", "2"}


async def test_task_files_reads_what_was_fetched(call: Call, stored: Storing) -> None:
    await stored.put("s3://b/photo.jpg", b"photo")

    async def handler(params: dict[str, Any], files: TaskFiles) -> Any:
        assert params["photo"] == await files.path_to("photo.jpg")
        return {"names": list(await files.list()), "read": (await files.read("photo.jpg", "rb")).decode()}

    assert (await call(handler, {"photo": "s3://b/photo.jpg"})).data == {
        "names": ["photo.jpg"],
        "read": "photo",
    }


async def test_typed_parameters_get_paths(call: Call, stored: Storing) -> None:
    class Params(msgspec.Struct):
        photo: str

    await stored.put("s3://b/photo.jpg", b"photo")

    def handler(photo: str) -> Any:
        return {"read": Path(photo).read_text()}

    assert (await call(handler, {"photo": "s3://b/photo.jpg"})).data == {"read": "photo"}


async def test_returned_paths_are_stored_and_described(call: Call, stored: Storing) -> None:
    async def handler(files: TaskFiles) -> Any:
        await files.write("sub/out.txt", "out")
        await files.write("set/1", "1")
        await files.write("set/2/3", "3")
        out = await files.path_to("sub/out.txt")
        return {
            "status": "done",
            "data": {"a": [{"out": out}], "again": Path(out), "set": await files.path_to("set"), "text": "t"},
        }

    called = await call(handler)
    uri = "s3://results/jobs/job-1/task-1/sub/out.txt"
    assert called.status == "done"
    assert called.data == {
        "a": [{"out": uri}],
        "again": uri,
        "set": "s3://results/jobs/job-1/task-1/set/",
        "text": "t",
    }
    assert await stored.get(uri) == b"out"
    assert await stored.get("s3://results/jobs/job-1/task-1/set/2/3") == b"3"
    described = called.outcome.data_metadata
    assert set(described) == {"a[0].out", "again", "set"}
    assert (described["again"].uri, described["again"].size) == (uri, 3)
    assert described["again"].metadata == {SHA256: hashlib.sha256(b"out").hexdigest()}
    assert described["set"].metadata["files"] == 2


async def test_what_lies_elsewhere_or_nowhere_is_left_as_it_is(
    call: Call, storage: ObjectStorage, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")

    async def handler(files: TaskFiles) -> Any:
        folder = Path(await files.get_root())
        (folder / "link").symlink_to(tmp_path / "secret")
        (root / "other-task").mkdir()
        (root / "other-task" / "file").touch()
        return {
            "missing": f"{folder}/missing",
            "above": f"{folder}/../../secret",
            "link": f"{folder}/link",
            "sibling": f"{folder}-x",
            "other": f"{root}/other-task/file",
            "system": "/etc/hostname",
            "nul": f"{folder}/\0",
        }

    called = await call(handler)
    assert called.status == "success"
    assert not [value for value in called.data.values() if "s3://" in value]
    assert called.outcome.data_metadata is None
    assert [found async for found in storage.entries(parse_uri("s3://results/"))] == []


async def test_a_returned_path_without_a_file_is_on_the_log(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(files: TaskFiles) -> Any:
        return {"reports": [await files.path_to("forgotten.pdf")], "elsewhere": "/etc/missing"}

    await call(handler)
    (line,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("'reports[0]' of the result names no file, and goes out as it is: ")
    assert line.endswith("/forgotten.pdf")


async def test_a_link_in_a_returned_folder_does_not_give_away_what_is_outside(
    call: Call, storage: ObjectStorage, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")

    async def handler(files: TaskFiles) -> Any:
        await files.write("set/fine", "fine")
        Path(await files.path_to("set/link")).symlink_to(tmp_path / "secret")
        return {"set": await files.path_to("set")}

    called = await call(handler)
    assert called.error is not None
    assert called.error.code == "PERMANENT_ERROR"
    assert [found async for found in storage.entries(parse_uri("s3://results/"))] == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"photo": FileMetadata("s3://b/photo.jpg", 4)}, "INTEGRITY_MISMATCH_ERROR"),
        ({"photo": FileMetadata("s3://b/photo.jpg", 7, "00")}, "INTEGRITY_MISMATCH_ERROR"),
        ({"photo": FileMetadata("s3://b/photo.jpg", metadata={SHA256: "00"})}, "INTEGRITY_MISMATCH_ERROR"),
        ({"x": FileMetadata("s3://b/photo.jpg", metadata={SHA256: "00"})}, "INTEGRITY_MISMATCH_ERROR"),
        ({"photo": FileMetadata("s3://b/photo.jpg", 7)}, None),
        ({"photo": FileMetadata("s3://b/other.jpg", 4)}, None),
        (None, None),
    ],
)
async def test_inputs_are_what_the_task_says(
    call: Call, stored: Storing, said: dict[str, FileMetadata] | None, code: str | None
) -> None:
    await stored.put("s3://b/photo.jpg", b"content")
    ran: list[str] = []

    async def handler(photo: str) -> None:
        ran.append(photo)

    called = await call(handler, {"photo": "s3://b/photo.jpg"}, params_metadata=said)
    assert (called.error.code if called.error else None) == code
    assert bool(ran) is (code is None)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3://b",
        "s3:///x",
        "s3://b/missing",
        "s3://b/missing/",
        "s3://b/a/../x",
        "s3://b/a\\x",
        "s3://b/a//b",
    ],
)
async def test_an_address_that_names_no_file_is_invalid_input(call: Call, stored: Storing, uri: str) -> None:
    await stored.put("s3://b/x")

    async def handler(params: dict[str, Any]) -> None:
        raise AssertionError("it must not run")

    called = await call(handler, {"photos": [uri]})
    assert called.error is not None
    assert called.error.code == "INVALID_INPUT_ERROR"
    assert "photos[0]" in called.error.message


async def test_1000_addresses_that_lead_elsewhere_are_refused(call: Call, tmp_path: Path) -> None:
    async def handler(params: dict[str, Any]) -> None:
        raise AssertionError("it must not run")

    before = sorted(tmp_path.rglob("*"))
    for name in names_that_lead_elsewhere(1000):
        called = await call(handler, {"photo": f"s3://b/{name}"})
        assert called.error is not None
        assert called.error.code == "INVALID_INPUT_ERROR"
    payloads = tmp_path / "payloads"
    assert [path for path in sorted(tmp_path.rglob("*")) if not path.is_relative_to(payloads)] == before
    assert [path for path in payloads.rglob("*") if path.is_file()] == []


async def test_a_storage_that_cannot_be_reached_is_transient(root: Path) -> None:
    class Gone:
        def __getattr__(self, name: str) -> Any:
            async def fail(*args: Any, **named: Any) -> Any:
                raise StorageUnavailable("Nobody is there.")

            return fail

    skills = SkillBlueprint()

    @skills.skill
    async def first(params: dict[str, Any]) -> None:
        raise AssertionError("it must not run")

    @skills.skill
    async def second(files: TaskFiles) -> Any:
        await files.write("out", "out")
        return {"out": await files.path_to("out")}

    bench = Bench(skills, root)
    bench.runner.depot = Depot(ObjectStorage(lambda name: Gone()), "results", root)  # type: ignore[arg-type, return-value]
    outcomes = await bench.run(
        offer({"x": "s3://b/x"}, skill="first", task_id="1"), offer(skill="second", task_id="2")
    )
    assert [found.error.code for found in outcomes if found and found.error] == ["TRANSIENT_ERROR"] * 2


async def test_without_files_nothing_is_touched(call: Call, root: Path) -> None:
    async def handler(params: dict[str, Any]) -> Any:
        return {"echo": params, "pi": 3.0, "nothing": None}

    called = await call(handler, {"a": 1.0, "text": "see s3 and 's3://' in here"})
    assert called.data == {
        "echo": {"a": 1.0, "text": "see s3 and 's3://' in here"},
        "pi": 3.0,
        "nothing": None,
    }
    assert not root.exists()


async def test_strange_identifiers_are_one_step_of_a_key(call: Call) -> None:
    async def handler(files: TaskFiles) -> Any:
        await files.write("out", "out")
        return {"out": await files.path_to("out")}

    for strange in ("..", "a/../../b", "a\\b", "a\nb"):
        called = await call(handler, task_id=strange)
        assert called.data["out"].startswith("s3://results/jobs/job-1/")
        assert len(called.data["out"].split("/")) == 7
        assert parse_uri(called.data["out"]).uri == called.data["out"]
    assert (await call(handler, task_id="a.b:1")).data["out"] == "s3://results/jobs/job-1/a.b:1/out"


async def test_task_files_moves_files_itself(call: Call, stored: Storing) -> None:
    await stored.put("s3://b/in.txt", b"in")

    async def handler(files: TaskFiles) -> Any:
        path = await files.download_file("s3://b/in.txt", "copies/in.txt")
        assert path == await files.path_to("copies/in.txt")
        assert await files.read("copies/in.txt") == "in"
        written = await files.write_json("out.json", {"é": [1]})
        assert await files.read_json("out.json") == {"é": [1]}
        one, folder = await files.upload_file("copies/in.txt"), await files.upload_dir("copies")
        everything = await files.upload_dir()
        assert files.get_root_sync() == await files.get_root()
        assert files.path_to_sync("x") == await files.path_to("x")
        assert written is not None
        return {
            "uris": [written.uri, one.uri, folder.uri, everything.uri],
            "files": everything.metadata["files"],
        }

    prefix = "s3://results/jobs/job-1/task-1/"
    called = await call(handler)
    assert called.data == {
        "uris": [prefix + "out.json", prefix + "copies/in.txt", prefix + "copies/", prefix],
        "files": 2,
    }
    assert await stored.get(prefix + "out.json") == '{"é":[1]}'.encode()


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "missing"])
async def test_task_files_stores_only_its_own_files(call: Call, name: str) -> None:
    async def handler(files: TaskFiles) -> Any:
        with pytest.raises((ValueError, FileNotFoundError)):
            await files.upload_file(name)
        with pytest.raises((ValueError, FileNotFoundError)):
            await files.upload_dir(name)
        if name != "missing":
            with pytest.raises(ValueError, match="leads out"):
                await files.download_file("s3://b/x", name)

    assert (await call(handler)).status == "success"


async def test_long_transfers_tell_how_far_they_are(storage: ObjectStorage, root: Path) -> None:
    from avtomatika_worker.files.transfer_progress import told_progress

    told: list[Told] = []
    now = 0.0
    progress = told_progress(told.append, "fetching x", lambda: now)
    mebibyte = 1 << 20
    for second in range(3600):
        now = float(second)
        progress(second * mebibyte, 3600 * mebibyte)
    payloads = [msgspec.json.decode(each.payload) for each in told]
    assert payloads[0] == {"progress": round(2 / 3600, 4), "message": "fetching x: 2.0 of 3600.0 MiB"}
    assert {each.name for each in told} == {"progress"}
    assert 50 < len(told) < 80
    unknown: list[Told] = []
    progress = told_progress(unknown.append, "fetching x/", lambda: now)
    now += 5
    progress(mebibyte, None)
    assert msgspec.json.decode(unknown[0].payload) == {"progress": 0.0, "message": "fetching x/: 1.0 MiB"}
