"""What stored files are named by: ``worker:<sha256>/<name>``, the name percent-encoded, or without a name."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from worker.words.errors import FileNotStored
from worker.words.texts import clean

SCHEME = "worker:"

_REFERENCE = re.compile(r"worker:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)


class Reference(NamedTuple):
    """A reference, read.

    Args:
        sha256: The digest of the file's content, 64 hexadecimal digits.
        name: Its name, decoded; the digest's beginning where the reference has none.
    """

    sha256: str
    name: str

    @classmethod
    def read(cls, text: str) -> "Reference | None":
        """Read a reference; None: it is no reference to a stored file."""
        match = _REFERENCE.fullmatch(text)
        return None if match is None else cls(match[1], unquote(match[2] or match[1][:12]))

    @classmethod
    def stored(cls, text: str) -> "Reference":
        """Read a reference. Raises: FileNotStored, where it is none."""
        found = cls.read(text)
        if found is None:
            raise FileNotStored(text)
        return found


def reference_of(sha256: str, name: str) -> str:
    """What a stored file is named by, from its digest and its name."""
    return f"{SCHEME}{sha256}/{quote(clean(name) or 'file', safe='')}"
