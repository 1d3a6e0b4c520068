"""References to stored files: ``worker:<sha256>/<name>`` with a percent-encoded name, or without a name."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from worker.words.errors import FileNotStored
from worker.words.invisible_characters import name_of
from worker.words.texts import clean

SCHEME = "worker:"

_REFERENCE = re.compile(r"worker:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)


class Reference(NamedTuple):
    """A parsed reference.

    Args:
        sha256: The digest of the file's content, 64 hexadecimal digits.
        name: The decoded file name without invisible characters; the beginning of the digest if there is none.
    """

    sha256: str
    name: str

    @classmethod
    def read(cls, text: str) -> "Reference | None":
        """Parse a reference; return None if the text is not a reference to a stored file."""
        match = _REFERENCE.fullmatch(text)
        return None if match is None else cls(match[1], name_of(unquote(match[2] or "")) or match[1][:12])

    @classmethod
    def stored(cls, text: str) -> "Reference":
        """Parse a reference to a stored file.

        Raises:
            FileNotStored: The text is not a reference.
        """
        found = cls.read(text)
        if found is None:
            raise FileNotStored(text)
        return found


def reference_of(sha256: str, name: str) -> str:
    """Return the reference of a stored file."""
    return f"{SCHEME}{sha256}/{quote(name_of(clean(name)) or 'file', safe='')}"
