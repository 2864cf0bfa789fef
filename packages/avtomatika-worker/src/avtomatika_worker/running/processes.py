"""Processes for handlers that ask for one. Each runs one handler at a time, and is used again."""

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Final

import msgspec

from avtomatika_worker.errors import HandlerError, PermanentError, TransientError
from avtomatika_worker.running.process_side import serve
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.outcome import ENCODING_ERRORS, encode_json
from avtomatika_worker.skills.process_messages import (
    Do,
    Done,
    Failed,
    HandlerPlace,
    Hot,
    Reply,
    Said,
    read_reply,
    write,
)
from avtomatika_worker.skills.teller import Tell, Told
from rxon.messages import TaskOffer

__all__ = ["HandlerProcesses", "ProcessCall", "ProcessHandlerError"]

GRACE: Final = 2.0  # seconds between SIGTERM and SIGKILL


class ProcessHandlerError(Exception):
    """What a handler raised in its process, if it is none of our errors; its traceback is a note."""


class ProcessCall:
    """One call of the handler at ``place``. ``added`` are arguments besides those that are injected."""

    def __init__(
        self,
        place: HandlerPlace,
        offer: TaskOffer,
        params: Any,
        folder: Path,
        added: Mapping[str, Any],
    ) -> None:
        self.place = place
        self.stopped = False
        self._offer, self._params = offer, params
        self._folder, self._added = folder, dict(added)
        self._tell: Tell = lambda told: None
        self._hot_cache = HotCache()
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def listen(self, tell: Tell, hot_cache: HotCache) -> None:
        """``tell`` gets what the handler tells, in whatever thread; ``hot_cache`` what it has loaded."""
        self._tell, self._hot_cache = tell, hot_cache

    def stop(self) -> None:
        """The handler does not run any more, or soon: its process is terminated with all that it started."""
        with self._lock:
            self.stopped = True
            if self._process is not None:
                self._process.terminate()

    def begin(self, process: "_Process") -> bool:
        """The process belongs to the call, unless that was stopped."""
        with self._lock:
            self._process = None if self.stopped else process
        return not self.stopped

    def end(self) -> bool:
        """The process does not belong to the call any more; whether it was left alone."""
        with self._lock:
            self._process = None
        return not self.stopped

    def request(self) -> bytes:
        """What to send to the process. Raises PermanentError when it cannot be sent."""
        try:
            added = pickle.dumps(self._added) if self._added else None
            params = encode_json(self._params)
        except (pickle.PicklingError, AttributeError, *ENCODING_ERRORS) as error:
            raise PermanentError(f"An argument cannot be sent to the process: {error}") from error
        level = logging.getLogger().getEffectiveLevel()
        offer = msgspec.json.encode(self._offer)
        return write(Do(self.place, offer, params, str(self._folder), added, level))

    def hear(self, reply: Said | Hot) -> None:
        """What the handler says before it ends."""
        if isinstance(reply, Said):
            self._tell(msgspec.json.decode(reply.told, type=Told))
        elif reply.loaded:
            self._hot_cache.add(reply.model)
        else:
            self._hot_cache.remove(reply.model)


class HandlerProcesses:
    """Runs calls in processes of their own. A process that ends takes its call with it, and no other."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False
        # Before multiprocessing waits for its children, as the interpreter ends.
        Finalize(self, _kill, args=(self._all,), exitpriority=10)

    def run(self, call: ProcessCall) -> Any:
        """What the handler returned, decoded from JSON. Blocks: it is called in a thread.

        Raises what the handler raised, if that is a HandlerError, else ProcessHandlerError; TransientError
        when the process ended.
        """
        request = call.request()
        process = self._take(call.place)
        if not call.begin(process):
            self._give(process)
            raise TransientError("The call was stopped")
        reply = process.ask(request, call)
        if call.end() and reply is not None:
            self._give(process)
        else:
            self._discard(process)
        if reply is None:
            raise TransientError(f"The process of the handler {process.end()}")
        return _value(reply)

    def close(self) -> None:
        """Every process is killed."""
        with self._lock:
            self._closed = True
            processes, idle = tuple(self._all), tuple(self._idle)
        for process in processes:
            process.kill()
        for process in idle:
            self._discard(process)

    def _take(self, place: HandlerPlace) -> "_Process":
        """An idle process, best one that has run this handler before; or a new one."""
        with self._lock:
            known = (process for process in reversed(self._idle) if place in process.served)
            process = next(known, self._idle[-1] if self._idle else None)
            if self._closed:
                raise TransientError("The worker is stopping")
            if process is None:
                process = _Process()
                self._all.add(process)
            else:
                self._idle.remove(process)
            process.served.add(place)
        return process

    def _give(self, process: "_Process") -> None:
        with self._lock:
            self._idle.append(process)
            closed = self._closed
        if closed:
            self._discard(process)

    def _discard(self, process: "_Process") -> None:
        process.end()
        with self._lock:
            self._all.discard(process)


class _Process:
    """A process, and the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.served: set[HandlerPlace] = set()
        self._pipe, there = context.Pipe()
        # No daemon, as those may not start processes; it ends by itself when the pipe does.
        self._process = context.Process(target=serve, args=(there,), name="avtomatika-handler")
        self._process.start()
        there.close()
        self._lock = threading.Lock()
        self._ended = False

    def ask(self, request: bytes, call: ProcessCall) -> Done | Failed | None:
        """The last reply; None when the process ended without one."""
        try:
            self._pipe.send_bytes(request)
            while isinstance(reply := self._next(), Said | Hot):
                call.hear(reply)
        except (EOFError, OSError):
            return None
        return reply

    def terminate(self) -> None:
        """The process is told to end, and killed if it does not."""
        self._signal(signal.SIGTERM)
        timer = threading.Timer(GRACE, self.kill)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """The process is dead, and what it started."""
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def end(self) -> str:
        """The process is gone, and how it went."""
        self.kill()
        self._process.join()
        with self._lock:
            if not self._ended:
                self._ended = True
                self._pipe.close()
        code = self._process.exitcode or 0
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"

    def _next(self) -> Reply:
        return read_reply(self._pipe.recv_bytes())

    def _signal(self, number: int) -> None:
        with self._lock, suppress(ProcessLookupError):
            pid = self._process.pid
            if self._ended or pid is None:
                return
            if not hasattr(os, "killpg"):
                self._process.terminate()
                return
            try:
                os.killpg(pid, number)
            except (ProcessLookupError, PermissionError):  # it has no group of its own yet
                os.kill(pid, number)


def _kill(processes: "set[_Process]") -> None:
    for process in tuple(processes):
        process.kill()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _value(reply: Done | Failed) -> Any:
    if isinstance(reply, Done):
        return msgspec.json.decode(reply.value)
    if reply.code is None:
        failed = ProcessHandlerError(reply.message)
        failed.add_note(reply.trace)
        raise failed
    error = HandlerError(reply.message, details=reply.details)
    vars(error)["code"] = reply.code  # that of a class which may be known in the other process only
    raise error
