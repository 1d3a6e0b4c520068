"""Rows that link stored files to tasks. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from worker.words.errors import ValidationError
from worker.words.references import Reference
from worker.words.texts import clean
from worker.words.work import KeptFile, url_digest


class FileRow(NamedTuple):
    """A stored file of a task, as a row holds it."""

    url_digest: str
    sha256: str
    media_type: str = ""
    name: str = ""


def uploads(settings: Mapping[str, Any]) -> tuple[FileRow, ...]:
    """Return rows for the uploaded files named by a task's input, which belong to the task from its creation."""
    named = (settings.get("input") or {}).get("files") or ()
    found = {each: reference for each in named if (reference := Reference.read(each)) is not None}
    return tuple(FileRow(url_digest(each), reference.sha256) for each, reference in found.items())


def kept_rows(files: Sequence[KeptFile]) -> tuple[FileRow, ...]:
    """Return rows for the files that an attempt keeps.

    Raises:
        ValidationError: A reference names no stored file.
    """
    rows: list[FileRow] = []
    for each in files:
        reference = Reference.read(each.reference)
        if reference is None:
            raise ValidationError("reference is not a stored file", field="files.reference")
        rows.append(FileRow(each.url_digest, reference.sha256, clean(each.media_type) or "", clean(each.name) or ""))
    return tuple(rows)
