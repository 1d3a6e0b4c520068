"""What parent and child both know: the bounds of a job, how one is refused, and the frames between them."""

import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
FORKS = sys.platform == "linux"  # elsewhere, native libraries need not survive a fork
REFUSAL_CHARACTERS = 2000

READY, STARTED, VALUE, CONTENT, REFUSED, MEMORY, TOO_LARGE, FAILED = (bytes([each]) for each in b"RSVCNMLF")
"""Kinds of a child's frames."""

HEAD = struct.Struct(">cQ")  # kind, and length of what follows


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job may take.

    Args:
        seconds: Of time, from when its function is called.
        memory: Bytes of address space that the job may add to what its process has: a child that has read documents
            before has their libraries, which take hundreds of mebibytes.
        answer: Bytes of the answer, as JSON where it is no bytes.
        once: Whether the process is used for this job alone, so that data which takes it over sees that of no other
            job. Where ``FORKS``, the child copies itself for the job, which costs a few milliseconds; elsewhere
            another child is started afterwards.
        imports: Modules that the child imports beforehand, so that its copies need not.
    """

    seconds: float
    memory: int = 512 * MEBIBYTE
    answer: int = 16 * MEBIBYTE
    once: bool = False
    imports: tuple[str, ...] = ()


class Refused(Exception):  # noqa: N818 - an answer rather than an error of ours
    """The data was refused, in words for whoever sent it."""


def send(stream: socket.socket, kind: bytes, content: bytes = b"") -> None:
    """Send a frame; waits as long as the stream's time limit says."""
    stream.sendall(HEAD.pack(kind, len(content)))
    stream.sendall(content)


def receive(stream: socket.socket, most: int, left: Callable[[], float] | None = None) -> tuple[bytes, bytes] | None:
    """Receive a frame.

    Args:
        stream: Where from.
        most: Bytes that it may have.
        left: Seconds that are left for it; None means it may take for ever.

    Returns:
        Its kind and content; None means the other side has ended.

    Raises:
        TimeoutError: The time is up.
        ValueError: It is larger than that.
    """
    head = _exactly(stream, HEAD.size, left)
    if head is None:
        return None
    kind, length = HEAD.unpack(head)
    if length > most:
        raise ValueError(length)
    content = _exactly(stream, length, left)
    return None if content is None else (kind, content)


def _exactly(stream: socket.socket, length: int, left: Callable[[], float] | None) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < length:
        if left is not None:
            stream.settimeout(max(0.001, left()))
        piece = stream.recv(min(MEBIBYTE, length - len(pieces)))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)


def countdown(seconds: float) -> Callable[[], float]:
    """Seconds that are left from now on."""
    until = time.monotonic() + seconds
    return lambda: until - time.monotonic()
