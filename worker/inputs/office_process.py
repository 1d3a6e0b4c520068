"""What is done with an office document in a child process: it becomes text (see office.py).

It writes no file, opens no connection, and runs nothing that a document holds.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused

ENTRIES = 10_000  # of an archive; the largest real ones have a few thousand
UNPACKED_BYTES = 256 * 1024 * 1024  # of all entries together, as they say themselves; the library counts as it unpacks
MANIFEST = "META-INF/manifest.xml"
MANIFEST_BYTES = 1024 * 1024
ENCRYPTED = 1  # the flag of an archive's entry
PASSWORD = "it is encrypted and needs a password"  # noqa: S105 - words of a note
TOO_MUCH = "it unpacks to more than is allowed"
BROKEN = "it is broken, or not what it seems to be"
NOTEBOOK = "application/x-ipynb+json"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def converted(content: bytes, media_type: str, characters: int) -> dict[str, object]:
    """Convert a document to at most so many characters of text: `{"text", "is_cut"}`. Raises Refused with the cause."""
    cause = objection(content)
    if cause:
        raise Refused(cause)
    text = text_of(content, media_type)
    return {"text": text[:characters], "is_cut": len(text) > characters}


def objection(content: bytes) -> str | None:
    """What speaks against opening a document that is an archive, from its table of contents alone."""
    if not content.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.flag_bits & ENCRYPTED for entry in entries):
                return PASSWORD
            if len(entries) > ENTRIES or sum(entry.file_size for entry in entries) > UNPACKED_BYTES:
                return TOO_MUCH
            if any(entry.filename == MANIFEST for entry in entries):
                with archive.open(MANIFEST) as manifest:
                    return PASSWORD if b"encryption-data" in manifest.read(MANIFEST_BYTES) else None
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        return "it is truncated or broken"
    return None


def text_of(content: bytes, media_type: str) -> str:
    """The text of a document, as Markdown. Raises: Refused."""
    if media_type == NOTEBOOK:
        return notebook_text(content)
    import kreuzberg

    wanted = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False, enable_quality_processing=False)
    try:
        return kreuzberg.extract_bytes_sync(content, media_type, config=wanted).content
    except Exception as error:  # noqa: BLE001 - a broken document makes it raise almost anything
        raise Refused(cause_of(str(error))) from None


def cause_of(message: str) -> str:
    """The library's words as words of ours, which hold nothing of the document."""
    lowered = message.lower()
    if "password" in lowered or "encrypt" in lowered:
        return PASSWORD
    if "limit exceeded" in lowered:
        return TOO_MUCH
    return BROKEN


def notebook_text(content: bytes) -> str:
    """The cells of a notebook and what they printed; the library gets other letters than those of English wrong."""
    try:
        notebook = json.loads(content)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language") or ""
        parts = [part for cell in notebook["cells"] for part in cell_parts(cell, str(language))]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused(BROKEN) from None
    return "\n\n".join(part for part in parts if part.strip())


def cell_parts(cell: dict[str, Any], language: str) -> Iterator[str]:
    """What a cell says, and what came of it: text, never pictures."""
    source = joined(cell.get("source", ""))
    if cell.get("cell_type") != "code":
        yield source
        return
    yield f"```{language}\n{source}\n```" if source.strip() else ""
    for output in cell.get("outputs", []):
        text = joined(output.get("text") or output.get("data", {}).get("text/plain") or "")
        if output.get("output_type") == "error":
            text = f"{output.get('ename')}: {output.get('evalue')}"
        yield f"```\n{COLOURS.sub('', text).rstrip()}\n```" if text.strip() else ""


def joined(lines: str | list[str]) -> str:
    """Text that a notebook may hold line by line."""
    return lines if isinstance(lines, str) else "".join(lines)
