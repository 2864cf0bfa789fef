"""A worker in the words of the page of 1.0b15: a skill with files, and a command."""

from typing import Any

from avtomatika_worker import TaskFiles, Worker

worker = Worker()


@worker.skill("hello_world")
async def my_skill(params: dict[str, Any], files: TaskFiles) -> dict[str, str]:
    """Says hello, by way of a file."""
    await files.write("greeting.txt", f"Hello, {params.get('name', 'World')}!")
    return {"message": await files.read("greeting.txt")}


@worker.on_command("reboot")
async def handle_reboot(command: Any) -> None:
    print("rebooting")


if __name__ == "__main__":
    worker.run()
