"""Readers of untrusted files, one per kind, and the entry point through which a child process runs them.

A file may crash or compromise the code here. The process therefore receives bytes and limits, and answers JSON; it
writes no file, opens no connection, and runs nothing from a file (see ``worker.bounded``).
"""

import json
from dataclasses import replace
from importlib import import_module
from typing import Any
from zipfile import BadZipFile

from worker.bounded import Refused
from worker.inputs.kinds import COMPOUND, ENCRYPTED, EXCEL, POWERPOINT, TYPES, WORD, ZIP
from worker.inputs.readers.answer import PASSWORD, ReaderLimits, ReadText


def read(content: bytes, asked: dict[str, Any]) -> bytes:
    """Read a file.

    Args:
        content: The whole file.
        asked: The fields of ``ReaderLimits``; the media type is that of the first bytes.

    Returns:
        A line of JSON, followed by the concatenated contents of the files in it. The line has ``media_type``, ``text``,
        ``is_cut``, ``notes``, and ``files`` (name, size and declared type of each); or only ``media_type`` and
        ``missing`` if the library is not installed.

    Raises:
        Refused: The file cannot be read; the message is the cause.
    """
    limits = ReaderLimits(**asked)
    found = _identified(content, limits.media_type)
    if found == ENCRYPTED:
        raise Refused(PASSWORD)
    kind = TYPES[found]
    if kind.reader is None:
        raise Refused(f"it is {kind.words}")
    if not kind.is_readable:
        return json.dumps({"media_type": found, "missing": kind.library}).encode()
    module, _, function = kind.reader.partition(":")
    reader = getattr(import_module(f"{__name__}.{module}"), function)
    answer: ReadText = reader(_prepared(content, found), replace(limits, media_type=found))
    text = answer.text.strip("\n")
    if not text.strip() and not answer.files:
        raise Refused(", and ".join(["it contains no text", *answer.notes]))
    said = {
        "media_type": found,
        "text": text[: limits.characters],
        "is_cut": answer.is_cut or len(text) > limits.characters,
        "notes": answer.notes,
        "files": [{"name": each.name, "size": len(each.content), "declared": each.declared} for each in answer.files],
    }
    head = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
    return b"\n".join([head, b"".join(each.content for each in answer.files)])


def _prepared(content: bytes, media_type: str) -> bytes:
    if media_type not in {WORD, EXCEL, POWERPOINT}:
        return content
    from worker.inputs.readers import containers

    try:
        return containers.plain(content)
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, BadZipFile):
        raise Refused(containers.BROKEN) from None


def _identified(content: bytes, media_type: str) -> str:
    if media_type not in {ZIP, COMPOUND}:
        return media_type
    from worker.inputs.readers import containers

    return containers.zip_type(content) if media_type == ZIP else containers.compound_type(content)
