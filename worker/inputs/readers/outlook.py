"""Outlook messages: the important headers, the body, and the attachments ([MS-OXMSG])."""

import datetime as dt
import io
import struct
from importlib.util import find_spec
from typing import Any

from worker.bounded import Refused
from worker.inputs.decoding import text_encoding
from worker.inputs.kinds import DEEPEST
from worker.inputs.names import file_name, one_line, size_words
from worker.inputs.readers import mail, office, web
from worker.inputs.readers.answer import Inner, ReaderLimits, ReadText

_STREAM, _ATTACHED = "__substg1.0_", "__attach_version1.0_"
_TEXT, _NARROW, _BYTES, _STORAGE = "001F", "001E", "0102", "000D"  # types of properties, [MS-OXCDATA] 2.11.1
_SUBJECT, _SENDER, _ADDRESS, _OLD_ADDRESS, _TO, _CC = "0037", "0C1A", "5D01", "0C1F", "0E04", "0E03"  # [MS-OXPROPS]
_BODY, _HTML, _DATA, _NAME, _SHORT_NAME, _KIND = "1000", "1013", "3701", "3707", "3704", "370E"
_MOMENTS = (0x00390040, 0x0E060040)  # the times of submission and delivery
_HEAD, _INNER_HEAD = 32, 24  # bytes before the fixed-length properties of a message and of an embedded one, 2.4.1
_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a message."""
    import olefile

    answer = ReadText("")
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as storage:
            message = _Message(storage, [], answer)
            answer.text = message.text()
            attached = message.attached()
    except (Refused, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a broken message makes the library raise almost anything
        return office.read(content, limits)
    if not message.has_body and find_spec("kreuzberg") is not None:  # the body may exist as rich text only
        answer.text = office.read(content, limits).text
    listing = [f"- {each.name} ({size_words(len(each.content))})" for each in attached]
    mail.take(answer, attached, limits.most)
    answer.text = "\n\n".join([answer.text, *(["\n".join(["Attachments:", *listing])] if listing else [])])
    return answer


class _Message:
    """A message being read; it may be attached to another one."""

    def __init__(self, storage: Any, path: list[str], answer: ReadText) -> None:
        self._storage = storage
        self._path = path
        self._answer = answer
        self.has_body = False

    def text(self) -> str:
        """Return its headers and body."""
        name, address = self._property(_SENDER), self._property(_ADDRESS) or self._property(_OLD_ADDRESS)
        sender = f"{name} <{address}>" if name and "@" in address and address != name else name or address
        named = {"From": sender, "To": self._property(_TO), "Cc": self._property(_CC), "Date": self._moment()}
        named["Subject"] = self._property(_SUBJECT)
        head = [f"{key}: {one_line(value, mail.LONGEST_HEADER)}" for key, value in named.items() if value.strip()]
        body = self._property(_BODY).replace("\r\n", "\n").strip() or self._page()
        self.has_body = bool(body)
        return "\n\n".join(each for each in ("\n".join(head), body) if each)

    def attached(self) -> list[Inner]:
        """Return the attachments; an attached message is returned as its text."""
        found: list[Inner] = []
        depth = len(self._path) + 1
        for entry in self._storage.listdir(streams=False, storages=True):
            if len(entry) != depth or entry[:-1] != self._path or not entry[-1].lower().startswith(_ATTACHED):
                continue
            part = _Message(self._storage, entry, self._answer)
            name = file_name(part._property(_NAME) or part._property(_SHORT_NAME))
            inner = [*entry, f"{_STREAM}{_DATA}{_STORAGE}"]
            if self._storage.exists(inner) and depth < 2 * DEEPEST:
                message = _Message(self._storage, inner, self._answer)
                said = message.text()
                found.append(Inner(f"{name or one_line(message._property(_SUBJECT)) or 'message'}.txt", said.encode()))
                found += message.attached()
            else:
                found.append(Inner(name or "attachment", part._bytes(_DATA), part._property(_KIND)))
        return found

    def _page(self) -> str:
        content = self._bytes(_HTML)
        found = text_encoding(content) if content else None
        if found is not None and found.is_guess:
            self._answer.notes.append(f"its text does not declare its encoding; it was read as {found.spoken}, a guess")
        return web.markdown(content.decode(found.name, "replace")) if found is not None else self._property(_HTML)

    def _property(self, what: str) -> str:
        content = self._stream(what, _TEXT)
        if content is not None:
            return content.decode("utf-16-le", "replace").rstrip("\0")
        content = (self._stream(what, _NARROW) or b"").rstrip(b"\0")
        found = text_encoding(content)
        return content.decode(found.name if found is not None else "cp1252", "replace")

    def _bytes(self, what: str) -> bytes:
        return self._stream(what, _BYTES) or b""

    def _stream(self, what: str, kind: str) -> bytes | None:
        path = [*self._path, f"{_STREAM}{what}{kind}"]
        if not self._storage.exists(path) or self._storage.get_type(path) != 2:  # noqa: PLR2004 - a stream
            return None
        with self._storage.openstream(path) as stream:
            return bytes(stream.read())

    def _moment(self) -> str:
        path = [*self._path, "__properties_version1.0"]
        content: bytes = self._storage.openstream(path).read() if self._storage.exists(path) else b""
        found: dict[int, int] = {}
        for at in range(_INNER_HEAD if self._path else _HEAD, len(content) - 15, 16):
            tag, _, value = struct.unpack_from("<IIQ", content, at)
            found[tag] = value
        value = next((found[each] for each in _MOMENTS if found.get(each)), None)
        if value is None:
            return ""
        try:
            return f"{_EPOCH + dt.timedelta(microseconds=value // 10):%Y-%m-%d %H:%M} UTC"
        except OverflowError:
            return ""
