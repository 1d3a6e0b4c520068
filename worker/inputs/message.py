"""Composition of a task's message: its text, the names of its files, their readable contents, and notes."""

import json
from collections.abc import Sequence

from worker.inputs.attachments import Attachments
from worker.inputs.names import labels

_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # line breaks that JSON does not escape


def human_readable(attachments: Attachments) -> list[dict[str, str]]:
    """Return the readable files as ``{"url", "content"}``, in the task's order and in full.

    Call ``fit_texts`` first to cut them; a cut text ends with a line that says so.
    """
    return [{"url": each.url, "content": each.text or ""} for each in attachments.texts]


def compose_message(
    text: str,
    urls: Sequence[str],
    attachments: Attachments,
    *,
    how_to_read: str | None = None,
) -> str:
    """Return the agent's message: the text, then the files, their readable contents and the notes.

    The text comes first and unchanged, whether or not it is JSON; without files it is the whole message. A file is
    named by its URL as the task has it, since an answer may have to cite it; an uploaded one by its name, and a
    ``data:`` URL by its type and size (see ``labels``). Contents are JSON objects, one per line, each under the file's
    name in the list. Each note says which file is missing or unusual, and why.

    Args:
        text: The task's text; may be empty.
        urls: The task's files, as it names them.
        attachments: The same files after reading and cutting.
        how_to_read: How the model can read the rest of cut texts; included only if a text was cut.
    """
    called = labels(urls)
    readable = [{**entry, "url": called.get(entry["url"], entry["url"])} for entry in human_readable(attachments)]
    notes = [*attachments.notes, *([how_to_read] if how_to_read and attachments.are_cut else [])]
    sections = [
        text,
        _section("Files:", list(called.values())),
        _section("File contents:", [_json_line(entry) for entry in readable]),
        _section("Notes on files:", [f"- {note}" for note in notes]),
    ]
    return "\n\n".join(section for section in sections if section)


def _json_line(entry: dict[str, str]) -> str:
    line = json.dumps(entry, ensure_ascii=False)
    for bare, escaped in _LINE_ENDS.items():
        line = line.replace(bare, escaped)  # ten times faster than str.translate
    return line


def _section(heading: str, lines: list[str]) -> str:
    return "\n".join([heading, *lines]) if lines else ""
