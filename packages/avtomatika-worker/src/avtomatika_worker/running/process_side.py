"""The process in which handlers run that ask for one: it does what the worker says until that is gone."""

import asyncio
import functools
import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

import msgspec

from avtomatika_worker.errors import HandlerError, PermanentError
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.invocation import CallContext, Invocation
from avtomatika_worker.skills.json_shape import is_object
from avtomatika_worker.skills.outcome import ENCODING_ERRORS, encode_json, json_object
from avtomatika_worker.skills.process_messages import (
    Do,
    Done,
    Failed,
    HandlerPlace,
    Hot,
    Reply,
    Said,
    read_do,
    write,
)
from avtomatika_worker.skills.teller import Teller, Told
from avtomatika_worker.task_files import TaskFiles
from rxon.messages import TaskOffer

__all__ = ["serve"]


def serve(pipe: Connection) -> None:
    """Runs in the process, in its main thread. Never returns."""
    if hasattr(os, "setsid"):
        os.setsid()  # it hears no Ctrl-C, and is killed together with all that its handlers started
    requests: SimpleQueue[Do] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, requests), daemon=True).start()
    side = _Side(pipe)
    while True:
        side.answer(requests.get())


def _listen(pipe: Connection, requests: "SimpleQueue[Do]") -> None:
    while True:
        try:
            data = pipe.recv_bytes()
        except (EOFError, OSError):
            _end()
        requests.put(read_do(data))


def _end() -> NoReturn:
    """The worker is gone, however it went: nobody waits for what is done here."""
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


class _Side:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._writing = threading.Lock()

    def answer(self, request: Do) -> None:
        try:
            reply: Reply = Done(_encoded(self._call(request)))
        except HandlerError as error:
            reply = Failed(str(error) or type(error).__name__, str(error.code), json_object(error.details))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker reports it
            reply = Failed(str(error) or type(error).__name__, trace=traceback.format_exc())
        self._send(reply)

    def _call(self, request: Do) -> Any:
        logging.basicConfig(level=request.log_level)  # nothing, where the program did so itself
        handler, invocation = _invocation(request.place)
        offer = msgspec.json.decode(request.offer, type=TaskOffer)
        context = CallContext(
            offer,
            _HotAtTheWorker(self._send),
            lambda: False,  # the process is terminated instead
            lambda: TaskFiles(Path(request.folder)),
            Teller(offer.task_id, self._say),
        )
        given = invocation.given(context)
        if request.added is not None:
            given |= pickle.loads(request.added)  # noqa: S301 - from our own worker
        arguments = invocation.arguments(msgspec.json.decode(request.params), given)
        if invocation.is_async:
            return asyncio.run(handler(**arguments))
        return handler(**arguments)

    def _say(self, told: Told) -> None:
        self._send(Said(msgspec.json.encode(told)))

    def _send(self, reply: Reply) -> None:
        with self._writing:
            self._pipe.send_bytes(write(reply))


class _HotAtTheWorker(HotCache):
    """Tells the worker what is loaded here."""

    def __init__(self, send: Callable[[Reply], None]) -> None:
        super().__init__()
        self._send = send

    def add(self, model: str) -> None:
        self._send(Hot(model, loaded=True))

    def remove(self, model: str) -> None:
        self._send(Hot(model, loaded=False))


@functools.cache
def _invocation(place: HandlerPlace) -> tuple[Callable[..., Any], Invocation]:
    handler = place.find()
    return handler, Invocation(handler)


def _encoded(value: Any) -> bytes:
    """The value as JSON that means the same as a result. Raises PermanentError."""
    try:
        encoded = encode_json(value)
    except ENCODING_ERRORS as error:
        raise PermanentError(f"The result cannot be written as JSON: {error}") from error
    if encoded[:1] == b"{" and not is_object(value):
        return b'{"data":' + encoded + b"}"  # an object that is no dict is no envelope
    return encoded
