"""E-mails and saved web pages: the headers that matter, the decoded body, and what is attached."""

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from worker.inputs.kinds import MOST_MEMBERS
from worker.inputs.names import file_name, one_line, size_words
from worker.inputs.readers.answer import Answer, Limits
from worker.inputs.readers.web import markdown

HEADERS = ("From", "To", "Cc", "Date", "Subject")
LONGEST_HEADER = 2_000  # characters; a long list of recipients
MOST_PARTS = 1_000  # of one message, nested ones included
_BODIES = ("text/plain", "text/html")


def read(content: bytes, limits: Limits) -> Answer:
    """Read a message. What cannot be decoded in it is left out, with a note."""
    message = BytesParser(policy=policy.default).parsebytes(content)
    answer = Answer("")
    head = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    body, attached = _parts_of(message, answer)
    listing = [f"- {name} ({size_words(len(data))})" for name, data in attached]
    _take(answer, attached, limits.most)
    sections = ["\n".join(head), body, "\n".join(["Attachments:", *listing]) if listing else ""]
    answer.text = "\n\n".join(each for each in sections if each.strip())
    return answer


def _parts_of(message: EmailMessage, answer: Answer) -> tuple[str, list[tuple[str, bytes]]]:
    """The body, and what is attached."""
    bodies: dict[str, list[str]] = {each: [] for each in _BODIES}
    attached: list[tuple[str, bytes]] = []
    for number, part in enumerate(_leaves(message)):
        if number >= MOST_PARTS:
            answer.notes.append(f"it has more than {MOST_PARTS:,} parts, and the rest was left out")
            break
        kind, name = part.get_content_type(), file_name(str(part.get_filename() or ""))
        is_body = kind in bodies and part.get_content_disposition() != "attachment" and not name
        if is_body:
            bodies[kind].append(_text(part))
        elif kind == "message/rfc822":
            attached.append((name or "message.eml", _inner_message(part)))
        elif name or not kind.startswith("image/"):  # pictures without a name decorate a signature
            attached.append((name or f"part {number + 1}", _bytes(part)))
    plain = "\n\n".join(each.strip() for each in bodies["text/plain"] if each.strip())
    return plain or "\n\n".join(markdown(each) for each in bodies["text/html"]), attached


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that hold something; a message within a message is one of them."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting += [each for each in reversed(list(part.iter_parts())) if isinstance(each, EmailMessage)]
        else:
            yield part


def _take(answer: Answer, attached: list[tuple[str, bytes]], most: int) -> None:
    """Pass on what is attached, within the limits."""
    for name, data in attached[:MOST_MEMBERS]:
        if len(data) > most:
            answer.notes.append(f"{name} in it is larger than is allowed, and was left out")
            continue
        most -= len(data)
        if data:
            answer.files.append((name, data))
    if len(attached) > MOST_MEMBERS:
        answer.notes.append(f"only the first {MOST_MEMBERS} of its {len(attached)} attachments were read")


def _header(message: EmailMessage, name: str) -> str:
    try:
        values = message.get_all(name, [])
    except Exception:  # noqa: BLE001 - malformed headers make the parser raise almost anything
        return ""
    return one_line(", ".join(str(each) for each in values), LONGEST_HEADER)


def _text(part: EmailMessage) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown charset
        from worker.inputs.decoding import text_encoding

        data = _bytes(part)
        found = text_encoding(data)
        return data.decode(found.name if found is not None else "utf-8", "replace")


def _bytes(part: EmailMessage) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _inner_message(part: EmailMessage) -> bytes:
    inner = part.get_payload()
    first = inner[0] if isinstance(inner, list) and inner else None
    try:
        return first.as_bytes() if isinstance(first, EmailMessage) else b""
    except Exception:  # noqa: BLE001 - a malformed message may not be written again
        return b""
