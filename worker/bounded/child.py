"""The child process: it does one job after another, each within its bounds, until its parent is gone.

A job comes from the parent, which is trusted; the data in it is not. The answer is JSON or bytes, never a pickle, since
hostile data may have taken this process over by the time it answers.
"""

import contextlib
import importlib
import json
import math
import pickle
import resource
import signal
import socket
from typing import Any

from worker.bounded.bounds import (
    CONTENT,
    FAILED,
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

ENDING_SECONDS = 2  # after its time was up: then the parent, which kills it, must be gone itself
DESCRIPTOR = 0  # standard input is the socket to the parent


def main() -> None:
    """Do jobs until the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or a dyno signals every process: the parent decides
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (0, 0))
    with socket.socket(fileno=DESCRIPTOR) as stream, contextlib.suppress(OSError):
        send(stream, READY)
        while (frame := receive(stream, 2**40)) is not None:
            module, name, arguments, bounds = pickle.loads(frame[1])  # noqa: S301 - from the parent, which is trusted
            del frame
            function = getattr(importlib.import_module(module), name)
            send(stream, STARTED)
            _confine(bounds)
            send(stream, *_answer(function, arguments, bounds))
            signal.alarm(0)


def _confine(bounds: Bounds) -> None:
    """Take no more than is allowed; where a system does not know a limit, the others hold."""
    signal.alarm(math.ceil(bounds.seconds) + ENDING_SECONDS)  # its default ends the process, whatever it computes
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (bounds.memory, resource.getrlimit(resource.RLIMIT_AS)[1]))


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
