"""Call sites: where in the user's code a run is made, so that a later attempt recognizes the same place.

A place is the chain of calls from the framework into user code and down to the run: each function, with a digest of its
code, and the current instruction. A place identifies a run only if it makes a single one: not inside a loop, and not in
a task or thread that runs alongside the handler's own.
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

MAX_FRAMES = 30  # deeper code is recursive, so its place identifies nothing
DIGEST_CHARACTERS = 8  # 32 bits: enough to distinguish versions of one function


class CodePlace(NamedTuple):
    """The place in the code where a run is made.

    Args:
        name: The chain of calls; None if the place may make several runs.
        code: The functions of the chain, outermost first, each with a digest of its code and constants.
    """

    name: str | None
    code: str


def call_site(home: Position | None) -> Callable[[], CodePlace]:
    """Capture the chain of user code on the call stack, from the run outward to the framework.

    Args:
        home: The position at which the handler, tool or step that owns the calling code was called; None if unknown.

    Returns:
        A function that computes the place when it is needed.
    """
    chain: list[tuple[CodeType, int]] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to read the call stack
    while frame is not None and _is_framework(frame):
        frame = frame.f_back
    while frame is not None and not _is_framework(frame) and len(chain) < MAX_FRAMES:
        chain.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    is_alone = home is not None and home == position() and 0 < len(chain) < MAX_FRAMES
    return lambda: CodePlace(_named(chain) if is_alone else None, _versions([code for code, _ in chain]))


def is_same_place(one: str, other: str) -> bool:
    """Return whether two names may denote the same place; functions whose code has changed are compared by name."""
    for mine, theirs in zip_longest(_calls_of(one), _calls_of(other)):
        if mine is None or theirs is None or mine[0] != theirs[0]:
            return False
        if mine[1] != theirs[1]:  # the code has changed, so the calls below it cannot be compared
            return True
        if mine[2] != theirs[2]:
            return False
    return True


def is_new_code(one: str, other: str) -> bool:
    """Return whether two chains call the same functions, and the code of any of them has changed.

    Functions without a name are not compared: two of them may have the same place and yet be different functions.
    """
    mine, theirs = ([each.rpartition("@") for each in chain.split(" > ")] for chain in (one, other))
    if [function for function, _, _ in mine] != [function for function, _, _ in theirs]:
        return False
    versions = zip(mine, theirs, strict=True)
    return any(version != other for (name, _, version), (_, _, other) in versions if not name.endswith(">"))


def _is_framework(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in FRAMEWORK


def _named(chain: list[tuple[CodeType, int]]) -> str | None:
    """Format a chain of calls, outermost first; return None if any call is inside a loop."""
    if any(first <= at <= last for code, at in chain for first, last in _loops(code)):
        return None
    return " > ".join(f"{code.co_qualname}@{_digest(code)}+{at}" for code, at in reversed(chain))


def _calls_of(place: str) -> list[tuple[str, str, str]]:
    """Split a place into the function, code digest and instruction of each call."""
    named = [each.rpartition("@") for each in place.split(" > ")]
    return [(function, *_halves(rest)) for function, _, rest in named]


def _halves(rest: str) -> tuple[str, str]:
    digest, _, at = rest.partition("+")
    return digest, at


@cache
def _digest(code: CodeType) -> str:
    """Digest the instructions alone: a prompt inside the function may change without moving any of them."""
    return hashlib.sha256(code.co_code).hexdigest()[:DIGEST_CHARACTERS]


def _versions(codes: list[CodeType]) -> str:
    return " > ".join(f"{code.co_qualname}@{_version(code)}" for code in reversed(codes))


@cache
def _version(code: CodeType) -> str:
    return hashlib.sha256(b"".join(_parts_of_code(code))).hexdigest()[:DIGEST_CHARACTERS]


@cache
def _parts_of_code(code: CodeType) -> tuple[bytes, ...]:
    """Return a function's instructions and constants, including those of nested functions."""
    inner = [part for each in code.co_consts if isinstance(each, CodeType) for part in _parts_of_code(each)]
    constants = [_constant(each).encode() for each in code.co_consts if not isinstance(each, CodeType)]
    return (code.co_code, *constants, *inner)


def _constant(value: object) -> str:
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)  # its order is the process's own


@cache
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the span of each loop, from its first instruction to the jump back; an ``await`` is not a loop."""
    return tuple(
        (int(each.argval), each.offset)
        for each in dis.get_instructions(code)
        if "JUMP_BACKWARD" in each.opname and "NO_INTERRUPT" not in each.opname
    )
