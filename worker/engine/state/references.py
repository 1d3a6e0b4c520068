"""How stored files are named, and the rows that say which of them are a task's. No I/O."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from worker.words.errors import FileNotStored, ValidationError
from worker.words.texts import clean
from worker.words.work import KeptFile, url_digest

_REFERENCE = re.compile(r"worker:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)


class FileRow(NamedTuple):
    """A file of a task, as its row holds it."""

    url_digest: str
    sha256: str
    media_type: str = ""
    name: str = ""


def reference_of(sha256: str, name: str) -> str:
    """What a stored file is named by."""
    return f"worker:{sha256}/{quote(clean(name) or 'file', safe='')}"


def parts_of(reference: str) -> tuple[str, str]:
    """The digest and the name in a reference. Raises: FileNotStored, where it is none."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise FileNotStored(reference)
    return match[1], unquote(match[2] or match[1][:12])


def uploads(settings: Mapping[str, Any]) -> tuple[FileRow, ...]:
    """The uploaded files that a task's input names: they are its own from its creation on."""
    named = (settings.get("input") or {}).get("files") or ()
    matches = {each: match for each in named if each.startswith("worker:") and (match := _REFERENCE.fullmatch(each))}
    return tuple(FileRow(url_digest(each), match[1]) for each, match in matches.items())


def kept_rows(files: Sequence[KeptFile]) -> tuple[FileRow, ...]:
    """The rows of files that an attempt keeps. Raises: ValidationError, where one names no stored file."""
    rows: list[FileRow] = []
    for each in files:
        match = _REFERENCE.fullmatch(each.reference)
        if match is None:
            raise ValidationError("reference is none of a stored file", field="files.reference")
        rows.append(FileRow(each.url_digest, match[1], clean(each.media_type) or "", clean(each.name) or ""))
    return tuple(rows)
