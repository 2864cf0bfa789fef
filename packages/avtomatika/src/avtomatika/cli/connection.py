"""The client API of a running orchestrator, spoken with nothing but the standard library."""

import ipaddress
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from avtomatika.cli.refusal import Answered, Refusal, Unreachable

DEFAULT_URL: Final = "http://127.0.0.1:8080"
PATIENCE: Final = 30.0
"""How many seconds an answer may take, beside the time that it was asked to wait."""


class Connection:
    """Where the orchestrator is, and who asks."""

    def __init__(self, url: str, token: str | None) -> None:
        """*url* may end with the prefix of the API. Raises Refusal when it is no URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"{url} is not the http(s) URL of an orchestrator.")
        path = parts.path.strip("/") or os.environ.get("CLIENT_API_PREFIX", "api").strip("/")
        self.url = url
        self._server = f"{parts.scheme}://{parts.netloc}"
        self._root = f"{self._server}/{path}" if path else self._server
        self._token = token
        self._direct = _is_local(parts.hostname)

    def job(self, job_id: str, **query: str) -> dict[str, Any]:
        """The job as it stands, or with `wait` once it is over or the seconds have passed. Raises Refusal."""
        return self._ask("GET", f"/v1/jobs/{quote(job_id, safe='')}", query)

    def jobs(self, **query: str) -> dict[str, Any]:
        """A page of jobs, newest first. Raises Refusal."""
        return self._ask("GET", "/v1/jobs", query)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Nothing of the job will be committed any more. Raises Refusal, also when it is over."""
        return self._ask("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")

    def explain(self, task_id: str) -> dict[str, Any]:
        """Why the task waits. Raises Refusal."""
        return self._ask("GET", f"/v1/tasks/{quote(task_id, safe='')}/explain")

    def submit(self, endpoint: str, body: bytes, key: str | None = None) -> dict[str, Any]:
        """The job is accepted. Raises Refusal.

        *endpoint* is that of a blueprint, with or without the version of its API before it. Without *key*
        the request has one of its own: the job is on record before its first handler runs.
        """
        path = "/" + endpoint.strip("/")
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        try:
            return self._ask("POST", path, body=body, headers=headers)
        except Answered as answer:
            if answer.code != "not_found":
                raise
        try:
            return self._ask("POST", f"/v1{path}", body=body, headers=headers)
        except Answered as answer:
            if answer.code != "not_found":
                raise
            raise Answered(answer.status, answer.code, f"No blueprint has the endpoint {path}.") from None

    def ready(self) -> bool:
        """True when the orchestrator takes requests."""
        try:
            self._open("GET", f"{self._server}/_public/ready", b"", {}, 2.0)
        except Refusal:
            return False
        return True

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        if self._token is None:
            raise Refusal(
                "There is no token: give --token, set CLIENT_TOKEN, or run this beside the "
                "orchestrator's .avtomatika/secrets.toml."
            )
        address = f"{self._root}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {"X-Client-Token": self._token, "Content-Type": "application/json", **(headers or {})}
        patience = PATIENCE + float((query or {}).get("wait", 0))
        answer = self._open(method, address, body, sent, patience)
        try:
            return msgspec.json.decode(answer, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Refusal(f"{self.url} does not answer like an orchestrator.") from None

    def _open(
        self, method: str, address: str, body: bytes, headers: Mapping[str, str], patience: float
    ) -> bytes:
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import ProxyHandler, Request, build_opener

        request = Request(address, body if method == "POST" else None, dict(headers), method=method)  # noqa: S310
        opener = build_opener(ProxyHandler({})) if self._direct else build_opener()
        try:
            with opener.open(request, timeout=patience) as response:
                content: bytes = response.read()
                return content
        except HTTPError as error:
            with error:
                raise _answered(error.code, error.read()) from None
        except URLError as error:
            raise Unreachable(f"No orchestrator answers at {self.url}: {error.reason}.") from None
        except (OSError, HTTPException) as error:
            raise Unreachable(f"The orchestrator at {self.url} broke off: {error!r}.") from None


def token_of(given: str | None, data_dir: str) -> str | None:
    """The client token: the one given, or the one that an orchestrator keeps in *data_dir*, or None.

    Raises ConfigError when that file is not as it should be.
    """
    return given or token_in(Path(data_dir), "client")


def token_in(data_dir: Path, kind: str) -> str | None:
    """The token of the kind that an orchestrator keeps in its folder, or None. Raises ConfigError."""
    from avtomatika.credentials import FILE, load_or_make

    if not (data_dir / FILE).is_file():
        return None
    tokens, _ = load_or_make(data_dir, str)  # the file is there, so nothing is made
    return tokens[kind]


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answered(status: int, content: bytes) -> Answered:
    try:
        error = json.loads(content)["error"]
        return Answered(status, str(error["code"]), str(error["message"]))
    except (ValueError, LookupError, TypeError):
        return Answered(status, "http_error", "the server gave no reason")
