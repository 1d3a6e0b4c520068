"""The message of a task: its text, then what its files are called, what can be read of them, and what cannot."""

import json
from collections.abc import Sequence

from worker.inputs.attachments import Attachments
from worker.inputs.limits import Limits
from worker.inputs.names import labels

_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})  # JSON leaves them bare


def human_readable(
    attachments: Attachments, limits: Limits | None = None, *, budget_characters: int | None = None
) -> list[dict[str, str]]:
    """Return the readable files as `{"url", "content"}`, in the task's order, cut to the limits.

    What there is room for is shared out fairly: short files are whole, long ones get equal parts. A content that was
    cut ends with a line that says so.

    Arguments:
        attachments: the files of a task.
        limits: `file_characters` and `total_characters` of it count.
        budget_characters: the model's own budget for all contents together; the smaller bound wins.
    """
    limits = limits or Limits()
    total = limits.total_characters if budget_characters is None else min(limits.total_characters, budget_characters)
    beginnings = [text.beginning(limits.file_characters) for text in attachments.texts]
    rooms = _share_out([len(beginning) for beginning, _ in beginnings], max(total, 0))
    return [
        {"url": text.url, "content": _cut(beginning, room, is_cut=is_cut)}
        for text, (beginning, is_cut), room in zip(attachments.texts, beginnings, rooms, strict=True)
    ]


def compose_message(
    text: str,
    urls: Sequence[str],
    attachments: Attachments,
    limits: Limits | None = None,
    *,
    budget_characters: int | None = None,
) -> str:
    """Return what the agent is asked: the text, then the files, their readable contents and the notes.

    The text comes first and exactly as it is, JSON or not; without files it is the whole message. A file is called by
    its URL, as the task has it, since an answer may have to cite it; an uploaded one by its name, and a `data:` URL by
    what it is (see `labels`). Contents are JSON objects, one a line, each under what its file is called in the list;
    each note says which file is missing or odd, and why.

    Arguments:
        text: the task's text; may be empty.
        urls: the task's files, as it names them.
        attachments: the same files, read.
        limits: how many characters of contents there may be.
        budget_characters: the model's own budget for the contents, see `text_budget`.
    """
    called = labels(urls)
    readable = [
        {**entry, "url": called.get(entry["url"], entry["url"])}
        for entry in human_readable(attachments, limits, budget_characters=budget_characters)
    ]
    sections = [
        text,
        _section("Files:", list(called.values())),
        _section("File contents:", [_json_line(entry) for entry in readable]),
        _section("Notes on files:", [f"- {note}" for note in attachments.notes]),
    ]
    return "\n\n".join(section for section in sections if section)


def _share_out(lengths: list[int], total: int) -> list[int]:
    rooms = [0] * len(lengths)
    shortest_first = sorted(range(len(lengths)), key=lengths.__getitem__)
    for position, index in enumerate(shortest_first):
        rooms[index] = min(lengths[index], total // (len(lengths) - position))
        total -= rooms[index]
    return rooms


def _cut(beginning: str, room: int, *, is_cut: bool) -> str:
    if room == len(beginning) and not is_cut:
        return beginning
    return f"{beginning[:room]}\n[cut here after {room:,} characters: the file is longer]"


def _json_line(entry: dict[str, str]) -> str:
    return json.dumps(entry, ensure_ascii=False).translate(_LINE_ENDS)


def _section(heading: str, lines: list[str]) -> str:
    return "\n".join([heading, *lines]) if lines else ""
