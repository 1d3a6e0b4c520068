"""Identifiers: text of at most 128 characters from ``[A-Za-z0-9._:-]``; ours are UUIDv7, which sort by time."""

import os
import re
import time
from threading import Lock

from worker.words.errors import ValidationError

FORM = "[A-Za-z0-9._:-]{1,128}"
_FORM = re.compile(FORM)
_lock = Lock()
_last = 0


def new_id() -> str:
    """Create a UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 bits for order within one process, 62 random bits.

    Returns:
        The canonical text form; within one process each id is greater than the one before.
    """
    global _last  # noqa: PLW0603 - ids are ordered by the last stamp of this process
    with _lock:
        stamp = max(time.time_ns() * 4096 // 1_000_000, _last + 1)  # 60 bits: milliseconds, the low 12 bits a fraction
        _last = stamp
    chance = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = (stamp >> 12 << 80) | (0x7 << 76) | ((stamp & 0xFFF) << 64) | (0b10 << 62) | chance
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(value: object) -> bool:
    """Return whether a value has the form of an identifier."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


def check_id(value: object, field: str = "id") -> str:
    """Check an identifier from outside.

    Args:
        value: The value to check.
        field: The name to use in the error.

    Returns:
        The same value.

    Raises:
        ValidationError: The value is not text of 1 to 128 characters from ``[A-Za-z0-9._:-]``.
    """
    if isinstance(value, str) and is_id(value):
        return value
    raise ValidationError(f"{field} must be 1 to 128 characters of A-Z a-z 0-9 . _ : -", field=field)
