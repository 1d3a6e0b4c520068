"""Random access to a task's files by tools: parts by position, and full-text search.

Positions are character offsets from 0 in the whole text of a file, however much of it a message contains. Texts are
read in chunks, so that a large file is not held twice and other threads are not blocked for long.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches

from worker.inputs.attachments import Attachment, Attachments, Kind
from worker.inputs.budget import pieces
from worker.inputs.causes import UnreadableError
from worker.inputs.documents import CHARACTERS
from worker.inputs.names import labels, one_line
from worker.inputs.pdf_words import words_of_pdf
from worker.inputs.threads import examine

ANSWER_CHARACTERS = 20_000  # per answer: about 5,000 tokens
MIN_ANSWER = 1_000
MAX_PLACES = 20  # search results shown
MAX_COUNTED = 10_000
AROUND = 100  # characters of context shown before and after each result
LONGEST_SEARCH = 500  # characters
KEPT_CHARACTERS = 20_000_000  # of texts that are not files; beyond it the oldest are dropped

_Text = Callable[[], Iterable[str]]
"""A function that returns a fresh iterable over the chunks of a text."""


class Library:
    """The files of a task by the names that its message uses.

    Args:
        urls: The task's files, as it names them.
        attachments: The same files after reading, complete rather than as adapted to a model.
        characters: The maximum size of an answer.
    """

    def __init__(self, urls: Sequence[str], attachments: Attachments, characters: int = ANSWER_CHARACTERS) -> None:
        self._most = max(MIN_ANSWER, min(characters, ANSWER_CHARACTERS))
        self._files: dict[str, Attachment] = {}
        self._kept: dict[str, str] = {}
        self._number = 0
        self._last_pdf: tuple[str, str, bool] | None = None
        called = labels(urls)
        readable = [each for each in attachments.items if each.kind in {Kind.TEXT, Kind.PDF}]
        for each in readable:
            self._files.setdefault(called.get(each.url, each.url), each)
        for each in readable:
            self._files.setdefault(each.name, each)

    def keep(self, name: str, text: str) -> str:
        """Keep a text that is not a file until the run ends, and return the name it can be read by."""
        known = next((each for each, kept in self._kept.items() if kept == text), None)
        if known is not None:
            return known
        self._number += 1
        self._kept[called := f"{name} {self._number}"] = text
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_CHARACTERS:
            del self._kept[next(iter(self._kept))]
        return called

    async def read(self, name: str, start: int, end: int | None) -> str:
        """Read a part of a file.

        Args:
            name: The name of the file.
            start: The offset of the first character; a negative one counts from the end.
            end: The offset after the last character, likewise; None reads as much as an answer may contain.

        Returns:
            The part with its position, or an explanation of why there is none; within the limit, plus a line or two.
        """
        name = name.strip()
        return await self._answer(name, lambda text: _part(name, text, start, end, self._most))

    async def search(self, name: str, text: str) -> str:
        """Search a file for a text, ignoring case. The text is literal, not a pattern.

        Returns:
            The number of results and the first of them with context, or an explanation of why there are none.
        """
        if not text.strip() or len(text) > LONGEST_SEARCH:
            return f"[The text to search for must have 1 to {LONGEST_SEARCH} characters.]"
        name = name.strip()
        return await self._answer(name, lambda whole: _places(name, whole, text, self._most))

    async def _answer(self, name: str, ask: Callable[[_Text], str]) -> str:
        kept, item = self._kept.get(name), self._files.get(name)
        if kept is not None:
            return await examine(lambda: ask(lambda: _in_pieces(kept)))
        if item is None:
            return self._unknown(name)
        if item.kind is Kind.TEXT:
            answer = await examine(lambda: ask(lambda: pieces(item)))
            return f"{answer}\n[{name} is longer: its end cannot be read.]" if item.is_cut else answer
        try:
            text, is_whole = await self._of_pdf(item)
        except UnreadableError as cause:
            return f"[{name} could not be read: {cause}.]"
        answer = await examine(lambda: ask(lambda: _in_pieces(text)))
        return answer if is_whole else f"{answer}\n[{name} is longer: its last pages cannot be read.]"

    async def _of_pdf(self, item: Attachment) -> tuple[str, bool]:
        """Return the text of a PDF and whether it is complete. The last PDF's text is cached, since calls repeat."""
        if self._last_pdf is None or self._last_pdf[0] != item.url:
            found = await words_of_pdf(item.content, CHARACTERS)
            if not found.read.texts:
                raise UnreadableError(f"it contains no text (it may be a scan){found.reason_without_text}")
            self._last_pdf = item.url, found.read.text, not found.is_cut
        return self._last_pdf[1:]

    def _unknown(self, name: str) -> str:
        names = [each[:200] for each in (*self._files, *self._kept)][:200]
        near = get_close_matches(name[:200], names, 1, 0.5) or names[:20]
        known = ", ".join(one_line(each, 200) for each in near) or "none"
        return f"[There is no readable file of that name. Readable files: {known}]"


def _in_pieces(text: str, size: int = 64 * 1024) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _part(name: str, text: _Text, start: int, end: int | None, most: int) -> str:
    total = sum(map(len, text()))
    start = max(start + total, 0) if start < 0 else start
    end = total if end is None else end + total if end < 0 else end
    end = min(end, start + most, total)
    if start >= end:
        return f"[{name} has {total} characters: there are none from {start} to {end}.]"
    shown, at = list[str](), 0
    for piece in text():
        shown.append(piece[max(start - at, 0) : max(end - at, 0)])
        at += len(piece)
        if at >= end:
            break
    lines = [f"[characters {start} to {end} of {total} of {name}]", "".join(shown)]
    return "\n".join([*lines, f"[continues at {end}]"] if end < total else lines)


def _places(name: str, text: _Text, wanted: str, most: int) -> str:
    found, count = list[str](), 0
    for at, around in _found(text(), _lowered(wanted)):
        count += 1
        if count > MAX_COUNTED:
            break
        if len(found) < MAX_PLACES and sum(map(len, found)) + len(around) < most:
            found.append(f"[at {at}] {around}")
    if not count:
        return f"[{name} does not contain it; the file has {sum(map(len, text()))} characters.]"
    said = f"more than {MAX_COUNTED:,}" if count > MAX_COUNTED else f"{count:,}"
    shown = f"; these are the first {len(found)}" if len(found) < count else ""
    return "\n".join([f"[{name} contains it in {said} {'place' if count == 1 else 'places'}{shown}:]", *found])


def _found(parts: Iterable[str], needle: str) -> Iterator[tuple[int, str]]:
    """Iterate over the positions of a text, each with its context."""
    window, offset, searched = "", 0, 0
    for piece, is_last in _with_end(parts):
        window += piece
        limit = len(window) if is_last else len(window) - AROUND - len(needle)
        low = _lowered(window)
        while 0 <= (at := low.find(needle, searched - offset)) < limit:
            yield offset + at, window[max(0, at - AROUND) : at + len(needle) + AROUND]
            searched = offset + at + len(needle)
        searched = max(searched, offset + limit)
        dropped = max(0, searched - offset - AROUND)
        window, offset = window[dropped:], offset + dropped


def _with_end(parts: Iterable[str]) -> Iterator[tuple[str, bool]]:
    last = None
    for piece in parts:
        if last is not None:
            yield last, False
        last = piece
    yield last or "", True


def _lowered(text: str) -> str:
    """Return the text in lower case with its length unchanged."""
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(small if len(small := each.lower()) == 1 else each for each in text)
