"""The rows that say which stored files are a task's. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from worker.words.errors import ValidationError
from worker.words.references import Reference
from worker.words.texts import clean
from worker.words.work import KeptFile, url_digest


class FileRow(NamedTuple):
    """A file of a task, as its row holds it."""

    url_digest: str
    sha256: str
    media_type: str = ""
    name: str = ""


def uploads(settings: Mapping[str, Any]) -> tuple[FileRow, ...]:
    """The uploaded files that a task's input names: they are its own from its creation on."""
    named = (settings.get("input") or {}).get("files") or ()
    found = {each: reference for each in named if (reference := Reference.read(each)) is not None}
    return tuple(FileRow(url_digest(each), reference.sha256) for each, reference in found.items())


def kept_rows(files: Sequence[KeptFile]) -> tuple[FileRow, ...]:
    """The rows of files that an attempt keeps. Raises: ValidationError, where one names no stored file."""
    rows: list[FileRow] = []
    for each in files:
        reference = Reference.read(each.reference)
        if reference is None:
            raise ValidationError("reference does not name a stored file", field="files.reference")
        rows.append(FileRow(each.url_digest, reference.sha256, clean(each.media_type) or "", clean(each.name) or ""))
    return tuple(rows)
