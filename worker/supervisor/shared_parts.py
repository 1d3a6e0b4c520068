"""The functions of Python that a worker shares with its handlers: working replacements, as by tracing, are kept.

A broken one, such as a mock that a handler leaves behind, would make every later task fail.
"""

import asyncio
import builtins
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import worker
from worker.settings import Settings

STARTED_SECONDS = 2.0  # a thread or a process starts within milliseconds, unless the machine is very busy
MAX_SWITCH_SECONDS = 0.1  # after which a thread lets others run; Python's own value is 5 ms
MIN_STACK_BYTES = 256 * 1024  # of a new thread
INSTALLED = (sys.prefix, sys.base_prefix, *(str(Path(each).parent) for each in worker.__path__))
SAMPLE: dict[str, Any] = {"a": [1, "é", None]}

_loads, _sleep = json.loads, asyncio.sleep


class Part:
    """A function, class or value that may be replaced.

    Args:
        owner: The module or class that has it.
        name: Its name there.
        works: Tries a replacement, and returns whether it works. It may raise anything.
    """

    def __init__(self, owner: Any, name: str, works: Callable[[Any], object]) -> None:
        self._owner = owner
        self._works = works
        self._last = getattr(owner, name)
        self.name = name

    def restore(self) -> bool:
        """Restore the original if its replacement does not work, and return whether it was restored."""
        now = getattr(self._owner, self.name, None)
        if now is self._last:
            return False
        try:
            is_fit = bool(self._works(now))
        except BaseException:  # noqa: BLE001 - the replacement is user code
            is_fit = False
        if is_fit:
            self._last = now
        else:
            setattr(self._owner, self.name, self._last)
        return not is_fit

    def __str__(self) -> str:
        return f"{getattr(self._owner, '__qualname__', self._owner.__name__)}.{self.name}"


def _is_coroutine(made: Any) -> bool:
    if not inspect.iscoroutine(made):
        return False
    made.close()
    return True


def _starts(kind: Any) -> bool:
    began = threading.Event()
    kind(target=began.set, daemon=True).start()
    return began.wait(STARTED_SECONDS)


def _makes_tasks(make: Any) -> bool:
    sleeping = _sleep(0)
    try:
        task = make(sleeping)
        return isinstance(task, asyncio.Future) and task.cancel()
    except BaseException:
        sleeping.close()
        raise


def _runs(kind: Any) -> bool:
    return kind([sys.executable, "-S", "-E", "-c", ""]).wait(STARTED_SECONDS) == 0


def _opens(function: Any) -> bool:
    with function(os.devnull, "rb") as file:
        return file.read() == b""


def _future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


PARTS = (
    Part(builtins, "isinstance", lambda it: it(1, int) and not it(1, str)),
    Part(builtins, "len", lambda it: it([1]) == 1),
    Part(builtins, "open", _opens),
    Part(builtins, "__import__", lambda it: it("json") is json),
    Part(os, "environ", lambda it: callable(it.get) and it.copy() is not None),
    Part(os, "urandom", lambda it: len(it(8)) == len(it(8)) and it(8) != it(8)),
    Part(time, "time", lambda it: it() + 0.0 > 0),
    Part(time, "time_ns", lambda it: it() + 0 > 0),
    Part(time, "monotonic", lambda it: it() + 0.0 >= 0),
    Part(time, "perf_counter", lambda it: it() + 0.0 >= 0),
    Part(threading, "Thread", _starts),
    Part(threading.Thread, "__init__", lambda _: _starts(threading.Thread)),
    Part(threading.Thread, "start", lambda _: _starts(threading.Thread)),
    Part(threading.Thread, "run", lambda _: _starts(threading.Thread)),
    Part(threading, "Event", lambda it: not it().is_set()),
    Part(threading, "Lock", lambda it: it().acquire(timeout=1) is True),
    Part(json, "dumps", lambda it: _loads(it(SAMPLE)) == SAMPLE),
    Part(json, "loads", lambda it: it('{"a": [1, "é", null]}') == SAMPLE),
    Part(subprocess, "Popen", _runs),
    Part(socket, "socket", lambda it: it().close() is None),
    Part(socket, "getaddrinfo", lambda it: it("127.0.0.1", 80)[0][4][1] == 80),  # noqa: PLR2004 - as asked
    Part(uuid, "uuid4", lambda it: len(str(it())) == len(str(uuid.UUID(int=0)))),
    Part(inspect, "iscoroutinefunction", lambda it: it(_sleep) and not it(len)),
    Part(asyncio, "sleep", lambda it: _is_coroutine(it(0))),
    Part(asyncio, "wait", lambda it: _is_coroutine(it([_future()]))),
    Part(asyncio, "wait_for", lambda it: _is_coroutine(it(_future(), 1))),
    Part(asyncio, "to_thread", lambda it: _is_coroutine(it(int))),
    Part(asyncio, "gather", lambda it: it(_future()).cancel()),
    Part(asyncio, "timeout", lambda it: it(1).when() > 0),
    Part(asyncio, "create_task", _makes_tasks),
    Part(asyncio, "Event", lambda it: not it().is_set()),
    Part(asyncio, "Lock", lambda it: not it().locked()),
)


class Environment:
    """The environment variables of the settings, which are read throughout."""

    NAMES = tuple(str(field.validation_alias) for field in Settings.model_fields.values() if field.validation_alias)

    def __init__(self) -> None:
        self._seen = self._raw()
        self._last = {name: os.environ.get(name) for name in self.NAMES}

    @staticmethod
    def _raw() -> dict[Any, Any]:
        """Return the variables as they are stored, of which a copy takes a microsecond; decoded ones take a hundred."""
        return dict(getattr(os.environ, "_data", os.environ))

    def restore(self) -> bool:
        """Restore the variables if the settings can no longer be read, and return whether they were restored."""
        now = self._raw()
        if now == self._seen:
            return False
        try:
            Settings()
        except ValueError:
            for name, value in self._last.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            return True
        self._seen, self._last = now, {name: os.environ.get(name) for name in self.NAMES}
        return False

    def __str__(self) -> str:
        return "environment variables of the settings"


class SearchPath:
    """``sys.path`` and ``sys.meta_path``: modules that are not loaded yet are found through them."""

    def __init__(self) -> None:
        self._folders = [each for each in sys.path if each.startswith(INSTALLED)]
        self._finders = list(sys.meta_path)

    def restore(self) -> bool:
        """Restore missing entries of Python's own, and return whether any were missing."""
        path, finders = sys.path, sys.meta_path
        sys.path, sys.meta_path = _with(self._folders, path), _with(self._finders, finders)
        return sys.path is not path or sys.meta_path is not finders

    def __str__(self) -> str:
        return "sys.path"


def _with(needed: list[Any], now: Any) -> Any:
    """Return the list itself if it is complete, otherwise one with the missing entries appended."""
    if not isinstance(now, list):
        return list(needed)
    there = cast("list[Any]", now)
    missing = [each for each in needed if each not in there]
    return [*there, *missing] if missing else there


class Setting:
    """A setting of the process that breaks other tasks if its value is too extreme.

    Args:
        name: Its name.
        read: Returns its value.
        write: Sets its value.
        hurts: Returns whether a value would break other tasks.
    """

    def __init__(
        self, name: str, read: Callable[[], Any], write: Callable[[Any], object], hurts: Callable[[Any], object]
    ) -> None:
        self.name = name
        self._read, self._write, self._hurts = read, write, hurts
        self._former = read()

    def restore(self) -> bool:
        """Restore the former value if the present one is harmful, and return whether it was."""
        now = self._read()
        if now == self._former or not self._hurts(now):
            return False
        self._write(self._former)
        return True

    def __str__(self) -> str:
        return self.name


def _umask() -> int:
    now = os.umask(0o077)  # it can only be read by setting it; meanwhile, new files are private
    os.umask(now)
    return now


class Alarms:
    """Timers that a handler leaves behind, whose unhandled signal would end the process."""

    TIMERS = (
        ("ITIMER_REAL", "SIGALRM"),
        ("ITIMER_VIRTUAL", "SIGVTALRM"),
        ("ITIMER_PROF", "SIGPROF"),
    )

    def __init__(self) -> None:
        self._timers = [
            (getattr(signal, timer), getattr(signal, number)) for timer, number in self.TIMERS if hasattr(signal, timer)
        ]

    def restore(self) -> bool:
        """Cancel such timers, and return whether there were any."""
        left = [
            timer
            for timer, number in self._timers
            if any(signal.getitimer(timer)) and signal.getsignal(number) is signal.SIG_DFL
        ]
        for timer in left:
            signal.setitimer(timer, 0)
        return bool(left)

    def __str__(self) -> str:
        return "alarms"


SHARED = (
    *PARTS,
    SearchPath(),
    Environment(),
    Alarms(),
    Setting("umask", _umask, os.umask, lambda it: it & 0o700),
    Setting("switch interval", sys.getswitchinterval, sys.setswitchinterval, lambda it: it > MAX_SWITCH_SECONDS),
    Setting("stack size", threading.stack_size, threading.stack_size, lambda it: 0 < it < MIN_STACK_BYTES),
)
"""All that is shared, in the order in which it is put back."""


_is_own = False


def protect() -> None:
    """Enable ``restore`` in a process that exists for the worker. Elsewhere, as in tests, mocks may be intentional."""
    global _is_own  # noqa: PLW0603 - true for the whole process
    _is_own = True


def restore() -> tuple[str, ...]:
    """Restore broken parts, and return their names."""
    return tuple([str(each) for each in SHARED if each.restore()]) if _is_own else ()
