"""The message of a task: its text, then what its files are called, what can be read of them, and what cannot."""

import json
from collections.abc import Sequence

from worker.inputs.attachments import Attachments
from worker.inputs.names import labels

_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}  # JSON leaves them bare


def human_readable(attachments: Attachments) -> list[dict[str, str]]:
    """Return the readable files as `{"url", "content"}`, in the task's order, as long as they are.

    Cut them before (`fit_texts`); a content that was cut ends with a line that says so.
    """
    return [{"url": each.url, "content": each.text or ""} for each in attachments.texts]


def compose_message(
    text: str,
    urls: Sequence[str],
    attachments: Attachments,
    *,
    how_to_read: str | None = None,
) -> str:
    """Return what the agent is asked: the text, then the files, their readable contents and the notes.

    The text comes first and exactly as it is, JSON or not; without files it is the whole message. A file is called by
    its URL, as the task has it, since an answer may have to cite it; an uploaded one by its name, and a `data:` URL by
    what it is (see `labels`). Contents are JSON objects, one a line, each under what its file is called in the list;
    each note says which file is missing or odd, and why.

    Arguments:
        text: the task's text; may be empty.
        urls: the task's files, as it names them.
        attachments: the same files, read, and cut to what there is room for.
        how_to_read: how the model can read the rest of what was cut; where nothing was, it is not said.
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
        line = line.replace(bare, escaped)  # a tenth of what a table of them takes
    return line


def _section(heading: str, lines: list[str]) -> str:
    return "\n".join([heading, *lines]) if lines else ""
