"""Where in the user's code a run is made, so that a later attempt knows the place again.

A place is the chain of calls from what the framework called down to the run: each function, with a digest of its code,
and the instruction that it was at. It names one run only if it makes one: not in a loop, and not in a task or thread of
its own beside the handler's.
"""

import dis
import hashlib
import sys
from collections.abc import Callable
from functools import cache
from itertools import zip_longest
from types import CodeType, FrameType
from typing import NamedTuple

from worker.current import Position, position

FRAMEWORK = frozenset({"agno", "asyncio", "concurrent", "contextvars", "threading", "uvloop", "worker"})
"""Packages whose frames are not the user's code."""

MOST_FRAMES = 30  # deeper code is recursive: its place says nothing
DIGEST_CHARACTERS = 8  # 32 bits; what is told apart are versions of one function


class CodePlace(NamedTuple):
    """Where a run is made.

    Args:
        name: The chain of calls; None if it may make several runs.
        code: Digest of the functions in the chain, of the texts in them too.
    """

    name: str | None
    code: str


def call_site(home: Position | None) -> Callable[[], CodePlace]:
    """Look at who calls, up to the framework.

    Args:
        home: Where the handler, tool or step was called that the code belongs to; None if that is not known.

    Returns:
        Makes the place, should anybody need it.
    """
    chain: list[tuple[CodeType, int]] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to look
    while frame is not None and _is_framework(frame):
        frame = frame.f_back
    while frame is not None and not _is_framework(frame) and len(chain) < MOST_FRAMES:
        chain.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    is_alone = home is not None and home == position() and 0 < len(chain) < MOST_FRAMES
    return lambda: CodePlace(_named(chain) if is_alone else None, _digest_of_all([code for code, _ in chain]))


def is_same_place(one: str, other: str) -> bool:
    """Whether two names may be of one place: functions whose code has changed in between are compared by name alone."""
    for mine, theirs in zip_longest(_calls_of(one), _calls_of(other)):
        if mine is None or theirs is None or mine[0] != theirs[0]:
            return False
        if mine[1] != theirs[1]:  # the code has changed, so nothing can be said of what it calls
            return True
        if mine[2] != theirs[2]:
            return False
    return True


def _is_framework(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in FRAMEWORK


def _named(chain: list[tuple[CodeType, int]]) -> str | None:
    """A chain in words, the outermost call first."""
    if any(first <= at <= last for code, at in chain for first, last in _loops(code)):
        return None
    return " > ".join(f"{code.co_qualname}@{_digest(code)}+{at}" for code, at in reversed(chain))


def _calls_of(place: str) -> list[tuple[str, str, str]]:
    """Of each call: the function, the digest of its code, the instruction."""
    named = [each.rpartition("@") for each in place.split(" > ")]
    return [(function, *_halves(rest)) for function, _, rest in named]


def _halves(rest: str) -> tuple[str, str]:
    digest, _, at = rest.partition("+")
    return digest, at


@cache
def _digest(code: CodeType) -> str:
    """Of the instructions alone: a prompt that is written in the function may change without moving any of them."""
    return hashlib.sha256(code.co_code).hexdigest()[:DIGEST_CHARACTERS]


def _digest_of_all(codes: list[CodeType]) -> str:
    digest = hashlib.sha256()
    for code in codes:
        for part in _parts_of_code(code):
            digest.update(part)
    return digest.hexdigest()[:DIGEST_CHARACTERS]


@cache
def _parts_of_code(code: CodeType) -> tuple[bytes, ...]:
    """A function's instructions and constants, those of the functions in it too."""
    inner = [part for each in code.co_consts if isinstance(each, CodeType) for part in _parts_of_code(each)]
    constants = [repr(each).encode() for each in code.co_consts if not isinstance(each, CodeType)]
    return (code.co_code, *constants, *inner)


@cache
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """The loops of a function, each from its first instruction to the jump back; an ``await`` is not one."""
    return tuple(
        (int(each.argval), each.offset)
        for each in dis.get_instructions(code)
        if "JUMP_BACKWARD" in each.opname and "NO_INTERRUPT" not in each.opname
    )
