"""Definitions shared by parent and child: the bounds of a job, the refusal of data, and the frames they exchange."""

import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
FORKS = sys.platform == "linux"  # on other systems, native libraries may not survive a fork
REFUSAL_CHARACTERS = 2000

READY, STARTED, VALUE, CONTENT, REFUSED, MEMORY, TOO_LARGE, FAILED = (bytes([each]) for each in b"RSVCNMLF")
"""The kinds of frames that a child sends."""

HEAD = struct.Struct(">cQ")  # the kind, and the length of the content that follows


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a job.

    Args:
        seconds: The time limit, measured from when its function is called.
        memory: Bytes of address space that the job may add to what its process uses at the start: a child that has read
            documents before has their libraries loaded, which take hundreds of mebibytes.
        answer: Bytes of the answer; of its JSON, if it is not bytes.
        once: Whether the process runs only this job, so that data which compromises it sees the data of no other job.
            With ``FORKS`` the child copies itself for the job, which costs a few milliseconds; otherwise the child is
            replaced afterwards.
        imports: Modules that the child imports in advance, so that its copies need not.
    """

    seconds: float
    memory: int = 512 * MEBIBYTE
    answer: int = 16 * MEBIBYTE
    once: bool = False
    imports: tuple[str, ...] = ()


class Refused(Exception):  # noqa: N818 - an answer rather than an error
    """The data was refused; the message is for its sender."""


def send(stream: socket.socket, kind: bytes, content: bytes = b"") -> None:
    """Send a frame, blocking for as long as the stream's timeout allows."""
    stream.sendall(HEAD.pack(kind, len(content)))
    stream.sendall(content)


def receive(stream: socket.socket, most: int, left: Callable[[], float] | None = None) -> tuple[bytes, bytes] | None:
    """Receive a frame.

    Args:
        stream: The stream to read.
        most: The maximum size of the content in bytes.
        left: Returns the seconds that are left; None means no time limit.

    Returns:
        The kind and the content; None if the other side has closed the stream.

    Raises:
        TimeoutError: The time is up.
        ValueError: The content is larger than ``most``.
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
    """Return a function that returns the seconds left of a period that starts now."""
    until = time.monotonic() + seconds
    return lambda: until - time.monotonic()
