"""What children of the tests are asked to do."""

import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from worker.bounded import Refused


def echo(*arguments: Any) -> Any:
    return list(arguments)


def content(size: int) -> bytes:
    return b"x" * size


def pid(*_: object) -> int:
    return os.getpid()


def parent(*_: object) -> int:
    return os.getppid()


def has_imported(module: str) -> bool:
    return module in sys.modules


def sleeps(*_: object) -> None:
    time.sleep(60)


def computes(*_: object) -> None:
    re.match("^(a+)+$", "a" * 60 + "!")


def says_and_sleeps(path: str) -> None:
    """Tell its number by a file that is there already: a child writes none."""
    os.utime(path, (os.getpid(), os.getpid()))
    time.sleep(60)


def swells(*_: object) -> int:
    return len(bytearray(2**31))


def recurses(*_: object) -> Any:
    return recurses()


def nests(*_: object) -> bytes:
    return b"["


def refuses(*_: object) -> None:
    raise Refused("no: \ud800")


def dies(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exits(*_: object) -> None:
    os._exit(3)


def floods(*_: object) -> str:
    return "x" * 2**25


def floods_the_socket(*_: object) -> None:
    """As one that hostile data has taken over may do."""
    while True:
        os.write(0, b"V" + b"\x7f" * 65536)


def babbles(*_: object) -> list[int]:
    return [1]


def no_json(*_: object) -> Any:
    return {1j}


def secrets() -> list[str]:
    return sorted(os.environ)


def writes(path: str) -> str:
    try:
        with Path(path).open("wb", 0) as file:
            file.write(b"x")
    except OSError as error:
        return str(error)
    return "written"


def ignores_signals(*_: object) -> str:
    with contextlib.suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    return "still here"
