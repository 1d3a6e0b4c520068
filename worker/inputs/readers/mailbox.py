"""Mailboxes: their messages in order, and the attachments of these (RFC 4155)."""

import re

from worker.inputs.classify import MESSAGE_START
from worker.inputs.names import size_words
from worker.inputs.readers import mail
from worker.inputs.readers.answer import Inner, ReaderLimits, ReadText

_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a mailbox."""
    places = [found.span() for found in MESSAGE_START.finditer(content)]
    ends = [start for start, _ in places[1:]] + [len(content)]
    answer, parts, attached, length = ReadText(""), list[str](), list[Inner](), 0
    for number, ((_, start), end) in enumerate(zip(places, ends, strict=True), 1):
        if length > limits.characters:
            answer.is_cut = True
            break
        head, body, files = mail.message(_QUOTED.sub(rb"\1", content[start:end]), answer)
        listing = [f"Attachment: {each.name} ({size_words(len(each.content))})" for each in files]
        parts.append("\n\n".join(each for each in (f"## Message {number}", head, body, "\n".join(listing)) if each))
        attached += files
        length += len(parts[-1])
    mail.take(answer, attached, limits.most)
    answer.notes = list(dict.fromkeys(answer.notes))
    answer.text = "\n\n".join([f"a mailbox ({len(places):,} messages)", *parts])
    return answer
