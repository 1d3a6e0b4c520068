"""The child process, which runs jobs one at a time, each within its bounds, until its parent is gone.

A job comes from the parent, which is trusted; the data in it is not. The answer is JSON or bytes, never a pickle, since
hostile data may have compromised this process by the time it answers.
"""

import contextlib
import importlib
import json
import math
import os
import pickle
import resource
import signal
import socket
from functools import cache
from pathlib import Path
from typing import Any

from worker.bounded.bounds import (
    CONTENT,
    FAILED,
    FORKS,
    HEAD,
    MEMORY,
    READY,
    REFUSAL_CHARACTERS,
    REFUSED,
    STARTED,
    TOO_LARGE,
    VALUE,
    Bounds,
    Refused,
    receive,
    send,
)

ENDING_SECONDS = 2  # beyond its time limit: a child still alive then has no parent left to kill it
MAX_BYTES = 2**40
PR_SET_PDEATHSIG = 1  # linux/prctl.h
DESCRIPTOR = 0  # standard input is the socket to the parent


def main() -> None:
    """Run jobs until the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # terminals and dynos signal every process; the parent decides
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (0, 0))
    with socket.socket(fileno=DESCRIPTOR) as stream, contextlib.suppress(OSError):
        send(stream, READY)
        taken = _address_space()
        while (frame := receive(stream, MAX_BYTES)) is not None:
            module, name, bounds = pickle.loads(frame[1])  # noqa: S301 - from the parent, which is trusted
            function = getattr(importlib.import_module(module), name)
            if bounds.once and FORKS:
                _import(bounds.imports)
                _do_in_copy(stream, function, bounds)
            else:
                _do(stream, function, bounds, taken)


def _import(modules: tuple[str, ...]) -> None:
    for each in modules:
        with contextlib.suppress(Exception):  # the code that needs the module will report the error
            importlib.import_module(each)


def _do(stream: socket.socket, function: Any, bounds: Bounds, taken: int) -> None:
    """Run a job, whose arguments arrive in a frame of their own; ``taken`` is the address space already in use."""
    frame = receive(stream, MAX_BYTES)
    if frame is None:
        return
    arguments = pickle.loads(frame[1])  # noqa: S301 - from the parent, which is trusted
    del frame
    send(stream, STARTED)
    _confine(bounds, taken)
    send(stream, *_answer(function, arguments, bounds))
    signal.alarm(0)


def _do_in_copy(stream: socket.socket, function: Any, bounds: Bounds) -> None:
    """Run a job in a copy of this process, which has the needed imports but has never seen anybody's data.

    The copy is killed when this process dies. If the copy dies, this process dies in the same way.
    """
    die_with_parent, parent = _libc().prctl, os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                _do(stream, function, bounds, _address_space())
        except BaseException:  # noqa: BLE001 - no detail of it may leave this process
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    if code:
        os._exit(code)


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _confine(bounds: Bounds, taken: int) -> None:
    """Apply the limits to this process. Limits that the system does not support are skipped; the others still apply."""
    signal.alarm(math.ceil(bounds.seconds) + ENDING_SECONDS)  # the default action ends the process, whatever it runs
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (taken + bounds.memory, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _address_space() -> int:
    """Return the address space of this process in bytes; 0 if the system does not report it and has no such limit."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()  # proc_pid_statm(5)
    except (OSError, ValueError):
        return 0


def _answer(function: Any, arguments: tuple[Any, ...], bounds: Bounds) -> tuple[bytes, bytes]:
    try:
        value = function(*arguments)
        kind, content = (CONTENT, value) if isinstance(value, bytes) else (VALUE, json.dumps(value).encode())
    except Refused as refused:
        return REFUSED, str(refused)[:REFUSAL_CHARACTERS].encode("utf-8", "replace")
    except MemoryError:
        return MEMORY, b""
    except Exception as error:  # noqa: BLE001 - hostile data makes a library raise almost anything
        return FAILED, type(error).__name__.encode()
    return (kind, content) if len(content) <= bounds.answer - HEAD.size else (TOO_LARGE, b"")
