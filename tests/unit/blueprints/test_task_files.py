"""What handlers do with the files of their job, on every kind of storage that needs no server."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from avtomatika.blobs.stored import FolderBlobs, StoredBlobs
from avtomatika.blueprints.file_names import key_of
from avtomatika.blueprints.task_files import FilePlace, TaskFiles
from avtomatika.errors import ConfigError, IntegrityError, InvalidInput
from avtomatika.kernel.ids import JobId, child_id
from avtomatika.ports.blobs import Blobs
from rxon.storage import ObjectStorage
from tests.unit.blueprints.test_file_names import traversals

JOB = JobId("0190-aa")


class Setting:
    """The files of jobs on one machine, and who was told that there may be some."""

    def __init__(self, blobs: Blobs, local: Path) -> None:
        self.blobs, self.local = blobs, local
        self.noted: list[JobId] = []

    def of(self, job: JobId = JOB, local: Path | None = None) -> TaskFiles:
        return TaskFiles(FilePlace(self.blobs, local or self.local, self._link, self._note), job)

    async def stored(self, name: str, content: bytes, job: JobId = JOB) -> str:
        """Somebody else has stored a file of the job."""
        await self.blobs.upload_stream(chunks(content), key_of(job, name))
        return self.blobs.uri(key_of(job, name))

    async def content(self, name: str, job: JobId = JOB) -> bytes:
        return b"".join([chunk async for chunk in self.blobs.stream(key_of(job, name))])

    async def _link(self, method: str, job: JobId, name: str, seconds: int) -> str:
        return f"{method} {job} {name} {seconds}"

    async def _note(self, job: JobId) -> None:
        self.noted.append(job)


async def chunks(*given: bytes) -> AsyncIterator[bytes]:
    for chunk in given:
        yield chunk


@pytest.fixture(params=["memory", "folder"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    blobs = StoredBlobs("bucket", ObjectStorage.memory)
    if request.param == "folder":
        blobs = FolderBlobs("bucket", tmp_path / "stored")
    return Setting(blobs, tmp_path / "local")


async def test_what_is_written_as_json_is_stored_and_read(here: Setting) -> None:
    files = here.of()
    value = {"a": [1, 2.5, None], "ü": "漢"}
    assert await files.write_json("out/r.json", value) == "s3://bucket/jobs/0190-aa/out/r.json"
    assert json.loads(await here.content("out/r.json")) == value
    assert await files.read_json("out/r.json") == value
    elsewhere = here.of(local=here.local / "other machine")
    assert await elsewhere.read_json("out/r.json") == value


async def test_what_is_not_uploaded_is_on_this_machine_only(here: Setting) -> None:
    files = here.of()
    uri = await files.write_json("r.json", 1, upload=False)
    path = await files.write_text("t.txt", "tü")
    assert (uri, path) == ((here.local / JOB / "r.json").as_uri(), here.local / JOB / "t.txt")
    assert await files.read_text("t.txt") == "tü"
    assert await here.blobs.metadata(key_of(JOB, "t.txt")) is None
    assert await files.upload("t.txt", "kept/as.txt") == "s3://bucket/jobs/0190-aa/kept/as.txt"
    assert await here.content("kept/as.txt") == "tü".encode()


async def test_a_download_is_a_path_under_the_name_that_is_asked_for(here: Setting) -> None:
    uri = await here.stored("in/a.bin", b"abc")
    files = here.of()
    assert await files.download("in/a.bin") == here.local / JOB / "in" / "a.bin"
    assert await files.download(uri) == here.local / JOB / "a.bin"
    assert await files.download(uri, "b/c.bin") == files.path("b/c.bin")
    assert {path.read_bytes() for path in (here.local / JOB).rglob("*.bin")} == {b"abc"}


async def test_folders_go_and_come_with_all_that_is_in_them(here: Setting) -> None:
    files = here.of()
    for name in ("out/a", "out/deep/b", "out/deep/c"):
        files.path(name).write_text(name)
    uri = await files.upload("out")
    assert uri == "s3://bucket/jobs/0190-aa/out/"
    found = await here.of(local=here.local / "other").download(uri, "copy")
    assert {p.relative_to(found).as_posix(): p.read_text() for p in found.rglob("*") if p.is_file()} == {
        "a": "out/a",
        "deep/b": "out/deep/b",
        "deep/c": "out/deep/c",
    }


@pytest.mark.parametrize("stream", [b"abcd", [b"ab", b"", b"cd"], "async"])
async def test_a_stream_is_stored(here: Setting, stream: Any) -> None:
    given = chunks(b"ab", b"cd") if stream == "async" else stream
    assert await here.of().upload_stream("s.bin", given) == "s3://bucket/jobs/0190-aa/s.bin"
    assert await here.content("s.bin") == b"abcd"


async def test_a_copy_that_is_older_than_the_stored_file_is_not_read(here: Setting) -> None:
    files = here.of()
    await files.write_json("v.json", 1)
    assert await files.read_json("v.json") == 1
    await here.stored("v.json", b"2")
    assert await files.read_json("v.json") == 2
    await here.stored("v.json", b"3")
    assert await files.read_text("v.json") == "3"
    assert (await files.download("v.json")).read_text() == "3"


async def test_a_change_of_the_copy_counts_until_somebody_stores_another(here: Setting) -> None:
    files = here.of()
    await here.stored("v.txt", b"stored")
    (await files.download("v.txt")).write_text("changed here")
    assert await files.read_text("v.txt") == "changed here"
    await files.write_text("v.txt", "written here")
    assert await files.read_text("v.txt") == "written here"
    await here.stored("v.txt", b"stored later")
    assert await files.read_text("v.txt") == "stored later"


async def test_a_file_that_came_from_nowhere_gives_way_to_the_stored_one(here: Setting) -> None:
    files = here.of()
    files.path("v.txt").write_text("left by an earlier run")
    await here.stored("v.txt", b"stored")
    assert await files.read_text("v.txt") == "stored"


async def test_an_upload_under_another_name_leaves_the_copy_a_copy_of_nothing(here: Setting) -> None:
    files = here.of()
    await here.stored("a.txt", b"stored")
    files.path("a.txt").write_text("here")
    await files.upload("a.txt", "b.txt")
    assert await files.read_text("a.txt") == "stored"
    assert await files.read_text("b.txt") == "here"


@pytest.mark.parametrize(
    "said",
    [
        {"size": 4},
        {"metadata": {"sha256": hashlib.sha256(b"other").hexdigest()}},
        {"uri": "s3://bucket/x", "etag": "other"},
    ],
)
async def test_a_file_that_is_not_what_was_said_is_an_error_and_no_file(
    here: Setting, said: dict[str, Any]
) -> None:
    await here.stored("a", b"abc")
    with pytest.raises(IntegrityError):
        await here.of().download("a", verify_meta=said)
    assert [path for path in here.local.rglob("*") if path.is_file()] == []
    right = {"size": 3, "metadata": {"sha256": hashlib.sha256(b"abc").hexdigest()}}
    assert (await here.of().download("a", verify_meta=right)).read_bytes() == b"abc"


async def test_a_description_that_is_none_is_refused(here: Setting) -> None:
    await here.stored("a", b"abc")
    with pytest.raises(InvalidInput):
        await here.of().download("a", verify_meta={"size": "three"})


async def test_what_is_not_there_is_not_found(here: Setting) -> None:
    files = here.of()
    for attempt in (
        lambda: files.download("none"),
        lambda: files.download("none/"),
        lambda: files.read_text("none"),
        lambda: files.read_json("none"),
        lambda: files.upload("none"),
    ):
        with pytest.raises(FileNotFoundError):
            await attempt()


async def test_no_method_takes_a_name_that_leads_elsewhere(here: Setting, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    other = await here.stored("secret", b"s", JobId("0190-bb"))
    files = here.of()
    for name in [other, *traversals(100)]:
        for attempt in (
            lambda name=name: files.download(name),
            lambda name=name: files.download("a", name),
            lambda name=name: files.upload("a", name),
            lambda name=name: files.upload_stream(name, b"x"),
            lambda name=name: files.read_text(name),
            lambda name=name: files.read_json(name),
            lambda name=name: files.write_text(name, "x"),
            lambda name=name: files.write_json(name, 1),
            lambda name=name: files.generate_presigned_url(name),
        ):
            if name.endswith("/") or not name:
                continue  # a folder, of which the step before the slash counts
            with pytest.raises((InvalidInput, FileNotFoundError)):
                await attempt()
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and "x" in p.read_text()]
    assert outside == []
    assert await here.content("secret", JobId("0190-bb")) == b"s"


async def test_a_path_of_another_place_is_refused(here: Setting) -> None:
    for name in traversals(300):
        if "://" not in name and not name.endswith("/"):
            with pytest.raises(InvalidInput):
                here.of().path(name)


async def test_a_link_does_not_lead_out_of_the_folder(here: Setting, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    files = here.of()
    files.path("x").parent.joinpath("way").symlink_to(tmp_path / "outside")
    files.path("x").symlink_to(tmp_path / "outside" / "secret")
    for name in ("way/secret", "way/new", "x"):
        with pytest.raises(InvalidInput):
            await files.write_text(name, "overwritten")
        with pytest.raises(InvalidInput):
            await files.upload(name)
    assert (tmp_path / "outside" / "secret").read_text() == "secret"


async def test_parents_and_children_read_the_files_of_each_other_and_nobody_else_does(here: Setting) -> None:
    child = child_id(JOB, 3)
    of_child, of_parent = await here.stored("c", b"c", child), await here.stored("p", b"p")
    assert (await here.of().download(of_child)).read_bytes() == b"c"
    assert (await here.of(child).download(of_parent)).read_bytes() == b"p"
    with pytest.raises(InvalidInput):
        await here.of(JobId("0190-ab")).download(of_parent)


async def test_clean_up_removes_the_files_of_the_job_and_no_others(here: Setting) -> None:
    other = child_id(JOB, 1)
    for job in (JOB, other):
        await here.of(job).write_json("a.json", 1)
        await here.stored("task/b", b"b", job)
    await here.of().cleanup()
    assert await here.blobs.metadata("jobs/0190-aa/") is None
    assert not (here.local / JOB).exists()
    assert await here.of(other).read_json("a.json") == 1
    assert await here.content("task/b", other) == b"b"


async def test_in_a_thread_the_same_methods_return_when_it_is_done(here: Setting) -> None:
    files = here.of()

    def handler() -> Any:
        files.write_json("a.json", {"n": 1})
        files.upload_stream("s", (piece for piece in (b"a", b"b")))
        return files.read_json("a.json"), files.download("s").read_bytes()

    assert await asyncio.to_thread(handler) == ({"n": 1}, b"ab")


async def test_it_is_noted_before_anything_is_stored(here: Setting) -> None:
    store, seen = here.blobs.upload_stream, list[list[JobId]]()

    async def watched(*given: Any) -> Any:
        seen.append([*here.noted])
        return await store(*given)

    here.blobs.upload_stream = watched  # type: ignore[method-assign]
    files = here.of()
    await files.upload_stream("a", b"a")
    await files.upload_stream("b", b"b")
    assert (seen, here.noted) == ([[JOB], [JOB]], [JOB])


async def test_a_path_is_noted_after_the_run_and_files_that_nobody_used_never(here: Setting) -> None:
    await here.of().settle()
    assert here.noted == []
    files = here.of()
    files.path("a")
    await files.settle()
    assert here.noted == [JOB]


async def test_a_url_is_for_one_method_and_for_a_while(here: Setting) -> None:
    files = here.of()
    assert await files.generate_presigned_url("a b", "PUT", 5) == "PUT 0190-aa a b 5"
    for method, seconds in (("DELETE", 5), ("GET", 0), ("GET", 8 * 86_400)):
        with pytest.raises(InvalidInput):
            await files.generate_presigned_url("a", method, seconds)


async def test_a_folder_of_everybody_is_not_used(here: Setting) -> None:
    here.local.mkdir()
    here.local.chmod(0o777)
    with pytest.raises(ConfigError, match="TASK_FILES_DIR"):
        here.of().path("a")
    here.local.chmod(0o700)
    assert here.of().path("a").parent.stat().st_mode & 0o077 == 0
