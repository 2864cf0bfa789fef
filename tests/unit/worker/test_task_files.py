"""A task has a folder of its own that it cannot leave."""

from pathlib import Path

import pytest

from avtomatika_worker import TaskFiles
from avtomatika_worker.errors import PathError
from avtomatika_worker.task_files import task_folder


@pytest.fixture
def files(tmp_path: Path) -> TaskFiles:
    return TaskFiles(tmp_path / "task")


async def test_nothing_is_made_before_it_is_needed(files: TaskFiles, tmp_path: Path) -> None:
    assert await files.list() == []
    assert not await files.exists("a.txt")
    assert list(tmp_path.iterdir()) == []
    assert await files.get_root() == str(tmp_path / "task")
    assert (tmp_path / "task").is_dir()


async def test_what_was_written_can_be_read(files: TaskFiles) -> None:
    await files.write("a.txt", "é\n")
    await files.write("a.txt", "more", mode="a")
    await files.write("b.bin", b"\x00\xff")
    await files.write("sub/c.txt", "c")
    assert await files.read("a.txt") == "é\nmore"
    assert await files.read("b.bin", mode="rb") == b"\x00\xff"
    assert await files.list() == ["a.txt", "b.bin", "sub"]
    assert await files.exists("sub/c.txt")
    assert Path(await files.path_to("new/file.pdf")).parent.is_dir()


async def test_an_open_file_is_closed_after_the_block(files: TaskFiles) -> None:
    async with files.open("a.txt", "w") as file:
        assert await file.write("one\ntwo\n") == 8
    async with files.open("a.txt") as file:
        assert [line async for line in file] == ["one\n", "two\n"]
        assert await file.seek(4) == 4
        assert await file.read() == "two\n"
    with pytest.raises(ValueError, match="closed"):
        await file.read()


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "sub/../../a", "", ".", "link/a"])
async def test_no_name_leads_out(files: TaskFiles, tmp_path: Path, name: str) -> None:
    root = Path(await files.get_root())
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(PathError):
        await files.path_to(name)
    with pytest.raises(PathError):
        await files.write(name, "x")
    with pytest.raises(PathError):
        await files.read(name)
    with pytest.raises(PathError):
        await files.exists(name)
    assert list(tmp_path.iterdir()) == [root]


async def test_a_removed_folder_is_gone(files: TaskFiles, tmp_path: Path) -> None:
    await files.write("sub/a.txt", "a")
    await files.remove()
    await files.remove()
    assert list(tmp_path.iterdir()) == []


def test_every_task_has_one_folder_directly_under_the_root(tmp_path: Path) -> None:
    ids = ["task-1", "job/3.0", "job_3_0", "..", ".", "", "a" * 300, "é", "e"]
    folders = [task_folder(tmp_path, task_id) for task_id in ids]
    assert {folder.parent for folder in folders} == {tmp_path}
    assert len(set(folders)) == len(ids)
    assert folders[0] == tmp_path / "task-1"
    assert all(len(folder.name) < 128 for folder in folders)
