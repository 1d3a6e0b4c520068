"""E-mails and saved web pages: the important headers, the decoded body, and the attachments."""

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from worker.inputs.decoding import text_encoding
from worker.inputs.kinds import MAX_MEMBERS, WEB_ARCHIVE
from worker.inputs.names import file_name, one_line, size_words
from worker.inputs.readers.answer import Inner, ReaderLimits, ReadText, too_large
from worker.inputs.readers.web import markdown

HEADERS = ("From", "To", "Cc", "Date", "Subject")
LONGEST_HEADER = 2_000  # characters, enough for a long list of recipients
MAX_PARTS = 1_000  # per message, nested parts included
_BODIES = ("text/plain", "text/html")


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a message. Parts that cannot be decoded are omitted, with a note."""
    answer = ReadText("")
    head, body, attached = message(content, answer, is_page=limits.media_type == WEB_ARCHIVE)
    listing = [f"- {each.name} ({size_words(len(each.content))})" for each in attached]
    take(answer, attached, limits.most)
    sections = [head, body, "\n".join(["Attachments:", *listing]) if listing else ""]
    answer.text = "\n\n".join(each for each in sections if each.strip())
    return answer


def message(content: bytes, answer: ReadText, *, is_page: bool = False) -> tuple[str, str, list[Inner]]:
    """Return the important headers of a message, its body and its attachments; notes are added to the answer."""
    parsed = BytesParser(policy=policy.default).parsebytes(content)
    head = [f"{name}: {value}" for name in HEADERS if (value := _header(parsed, name))]
    return "\n".join(head), *_parts_of(parsed, answer, is_page)


def body(content: bytes) -> str:
    """Return the text of a message that is part of a document."""
    message = BytesParser(policy=policy.default).parsebytes(content)
    return _parts_of(message, ReadText(""), is_page=True)[0]


def _parts_of(message: EmailMessage, answer: ReadText, is_page: bool) -> tuple[str, list[Inner]]:
    """Return the body and the attachments; of a saved page, its styles, scripts and decorations are ignored."""
    bodies: dict[str, list[str]] = {each: [] for each in _BODIES}
    attached: list[Inner] = []
    for number, part in enumerate(_leaves(message)):
        if number >= MAX_PARTS:
            answer.notes.append(f"it has more than {MAX_PARTS:,} parts, and the rest was left out")
            break
        kind, name = part.get_content_type(), file_name(str(part.get_filename() or ""))
        is_body = kind in bodies and part.get_content_disposition() != "attachment" and not name
        if is_body:
            bodies[kind].append(_text(part, answer))
        elif is_page and part.get_content_disposition() != "attachment":
            continue
        elif kind == "message/rfc822":
            attached.append(Inner(name or "message.eml", _inner_message(part)))
        elif name or not kind.startswith("image/"):  # unnamed pictures are decorations of a signature
            attached.append(Inner(name or f"part {number + 1}", _bytes(part), str(part["Content-Type"] or "")))
    plain = "\n\n".join(each.strip() for each in bodies["text/plain"] if each.strip())
    return plain or "\n\n".join(markdown(each) for each in bodies["text/html"]), attached


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """Iterate over the parts with content; a message within the message counts as one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting += [each for each in reversed(list(part.iter_parts())) if isinstance(each, EmailMessage)]
        else:
            yield part


def take(answer: ReadText, attached: list[Inner], most: int) -> None:
    """Add attachments to the answer, within the limits."""
    for each in attached[:MAX_MEMBERS]:
        if len(each.content) > most:
            answer.notes.append(f"{each.name} in it {too_large(len(each.content), most)}")
            continue
        most -= len(each.content)
        if each.content:
            answer.files.append(each)
    if len(attached) > MAX_MEMBERS:
        answer.notes.append(f"only the first {MAX_MEMBERS} of its {len(attached)} attachments were read")


def _header(message: EmailMessage, name: str) -> str:
    try:
        raw = [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]
        values = [_of_bytes(each) or str(message.policy.header_fetch_parse(name, each)) for each in raw]
    except Exception:  # noqa: BLE001 - malformed headers make the parser raise almost anything
        return ""
    return one_line(", ".join(values), LONGEST_HEADER)


def _of_bytes(raw: str) -> str:
    """Decode a header with raw non-ASCII bytes, which RFC 5322 forbids but many programs write; else return ``""``."""
    content = raw.encode("ascii", "surrogateescape") if not raw.isascii() else b""
    found = text_encoding(content)
    return content.decode(found.name, "replace") if content and found is not None else ""


def _text(part: EmailMessage, answer: ReadText) -> str:
    """Decode the text of a part, since many parts declare no encoding or a wrong one."""
    content = _bytes(part)
    found = text_encoding(content, part.get_content_charset() or "")
    if found is not None and found.is_guess:
        answer.notes.append(f"its text does not declare its encoding; it was read as {found.spoken}, which is a guess")
    return content.decode(found.name if found is not None else "utf-8", "replace")


def _bytes(part: EmailMessage) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _inner_message(part: EmailMessage) -> bytes:
    inner = part.get_payload()
    first = inner[0] if isinstance(inner, list) and inner else None
    try:
        return first.as_bytes() if isinstance(first, EmailMessage) else b""
    except Exception:  # noqa: BLE001 - a malformed message may be impossible to serialize
        return b""
