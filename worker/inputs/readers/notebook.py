"""Notebooks: their cells and text outputs."""

import json
import re
from collections.abc import Iterator
from typing import Any

from worker.bounded import Refused
from worker.inputs.readers.answer import MALFORMED, ReaderLimits, ReadText

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def read(content: bytes, _: ReaderLimits) -> ReadText:
    """Read a notebook; pictures in outputs are ignored."""
    try:
        notebook = json.loads(content)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language") or ""
        cells = notebook.get("cells") or [
            cell for sheet in notebook["worksheets"] for cell in sheet["cells"]
        ]  # notebook formats before 4
        parts = [part for cell in cells for part in _parts(cell, str(language))]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused(MALFORMED) from None
    return ReadText("\n\n".join(part for part in parts if part.strip()))


def _parts(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _joined(cell.get("source") or cell.get("input") or "")
    if cell.get("cell_type") != "code":
        yield source
        return
    yield f"```{language}\n{source}\n```" if source.strip() else ""
    for output in cell.get("outputs", []):
        text = _joined(output.get("text") or output.get("data", {}).get("text/plain") or "")
        if output.get("output_type") == "error":
            text = f"{output.get('ename')}: {output.get('evalue')}"
        yield f"```\n{_COLOURS.sub('', text).rstrip()}\n```" if text.strip() else ""


def _joined(lines: str | list[str]) -> str:
    """Return a text that a notebook may store as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)
