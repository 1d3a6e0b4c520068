"""The journal of a task: what its attempts have completed, so that a later one does not do it again.

A row is written once and never changed. Its key starts with the run's id (the task's and the number of the run within
its handler), then says who asked (``path``), what and where, and ends with ``#attempt.number``: an attempt's number is
never given twice, so keys are unique, and their ends say in which order things happened. What no longer counts is named
by a later row of the kind ``drop``, since rows are never taken out one by one.

Nothing here knows Agno: values are whatever JSON can say.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from worker.agents.held import Held
from worker.contracts import Work
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

VALUE_BYTES = 50 * 1024 * 1024  # of one entry: what platforms store as a file, where large values go
KEY_CHARACTERS = 400  # a deeper one is shortened to a digest; PostgreSQL's index takes 2,700 bytes

Kind = Literal["model", "tool", "step", "told", "open", "discard", "drop"]
Number = tuple[int, int]
"""Attempt, and the entry's place within it."""

# Made once: json.dumps with options makes one a call. ASCII: what PostgreSQL's text cannot hold stays escaped.
_row_text = json.JSONEncoder(separators=(",", ":")).encode
_digest_text = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Place(NamedTuple):
    """Where a call stands, and what must be as it was for its entry to count.

    Args:
        run: Id of the run, or of the task for a step of the handler.
        path: Who calls: the agent's or team's id, behind the delegating calls that lead to it.
        kind: What it is.
        at: Where: the number of messages for a model, that and the call's id for a tool, the name of a step.
        match: Digest of what the call depends on.
    """

    run: str
    path: tuple[str, ...]
    kind: Kind
    at: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as it was read."""

    number: Number
    place: Place
    value: Any


class Journal:
    """What an attempt knows of earlier ones, and the rows that it adds; shared by all runs of its handler.

    Args:
        task_id: The task.
        attempt: The attempt that reads and writes; the first one has nothing to read.
    """

    def __init__(self, task_id: str, attempt: int) -> None:
        self.task_id = task_id
        self.held = Held()
        self._attempt = attempt
        self._numbers = count(1)
        self._loaded = attempt <= 1
        self._unused: dict[Number, Entry] = {}
        self._queues: dict[Place, deque[Entry]] = defaultdict(deque)
        self._told: dict[str, Counter[str]] = defaultdict(Counter)
        self._unfinished: Counter[str] = Counter()
        self._order: list[tuple[Number, Kind]] = []
        self._steps: Counter[str] = Counter()

    async def load(self, work: Work) -> None:
        """Read what earlier attempts left, once; a second call does nothing."""
        if self._loaded:
            return
        rows = await work.journal(self.task_id)
        if not self._loaded:  # another run of the same handler may have been faster
            self._loaded = True
            self._take_over(rows)

    @property
    def has_entries(self) -> bool:
        """Whether there is anything left to answer from."""
        return bool(self._unused)

    def take(self, place: Place) -> Entry | None:
        """The next entry for a call, which is then used up; none: the call was not completed."""
        waiting = self._queues.get(place)
        while waiting:
            entry = waiting.popleft()
            if self._unused.pop(entry.number, None) is not None:
                return entry
        return None

    def row(self, place: Place, value: Any = None, *, closes: bool = False) -> JournalEntry | None:
        """Make the row of a completed call; none where it would be too large.

        Args:
            place: Where it stands.
            value: What JSON can say.
            closes: It completes an answer whose text was streamed.
        """
        number = (self._attempt, next(self._numbers))
        body = {**place._asdict(), "value": value}
        if closes:
            body["closes"] = True
        text = _row_text(body)
        if len(text) > VALUE_BYTES:
            return None
        self._order.append((number, place.kind))
        return JournalEntry(_key(place, number), text)

    def outdated(self, run: str, path: tuple[str, ...]) -> JournalEntry | None:
        """Give up what no longer fits, when a model is asked anew where entries of its earlier answers wait.

        From the first of them on everything counts no longer, but for what goes on beside it in the same run.

        Returns:
            The row that says so; none: everything fits.
        """
        waiting = [
            number
            for number, entry in self._unused.items()
            if (entry.place.run, entry.place.path, entry.place.kind) == (run, path, "model")
        ]
        if not waiting:
            return None
        first = min(waiting)
        return self._drop(
            [entry for entry in self._unused.values() if entry.number >= first and not _beside(entry.place, run, path)]
        )

    def without_last_answer(self) -> JournalEntry | None:
        """Give up the last model answer and what came after it: another try must not repeat the same failure."""
        last = max((number for number, kind in self._order if kind == "model"), default=None)
        if last is None:
            return None
        numbers = [number for number, kind in self._order if number >= last and kind != "drop"]
        return self.row(Place(self.task_id, (), "drop", "last answer"), numbers)

    def untold(self, run: str, events: Sequence[NewEvent]) -> tuple[list[NewEvent], list[JournalEntry]]:
        """Which of a run's events no earlier attempt has told, and the row that says that they are told now."""
        left, fresh, digests = self._told[run], list[NewEvent](), list[str]()
        for event in events:
            mark = digest([event.type, event.data])
            if left[mark] > 0:
                left[mark] -= 1
            else:
                fresh.append(event)
                digests.append(mark)
        row = self.row(Place(run, (), "told", ""), digests) if fresh else None
        return fresh, [row] if row else []

    def unfinished(self, run: str) -> bool:
        """Whether an earlier attempt streamed text of an answer that it did not complete."""
        return self._unfinished[run] > 0

    def step(self, name: str) -> Place:
        """The place of a step of the handler; the same name again is another step."""
        self._steps[name] += 1
        return Place(self.task_id, (), "step", f"{name}.{self._steps[name] - 1}")

    def _take_over(self, rows: dict[str, str]) -> None:
        entries: dict[Number, Entry] = {}
        for number, text in sorted((_number(key), text) for key, text in rows.items()):
            body = json.loads(text)
            place = Place(body["run"], tuple(body["path"]), body["kind"], body["at"], body["match"])
            if place.kind == "drop":
                for attempt, each in body["value"]:
                    entries.pop((attempt, each), None)
                continue
            entries[number] = Entry(number, place, body["value"])
            self._count_text(place, closes=body.get("closes", False))
        for entry in entries.values():
            self._order.append((entry.number, entry.place.kind))
            self._unused[entry.number] = entry
            if entry.place.kind == "told":
                self._told[entry.place.run].update(entry.value)
            else:
                self._queues[entry.place].append(entry)

    def _count_text(self, place: Place, *, closes: bool) -> None:
        if place.kind == "open":
            self._unfinished[place.run] += 1
        elif place.kind == "discard":
            self._unfinished[place.run] = 0
        elif closes:
            self._unfinished[place.run] -= 1

    def _drop(self, entries: Sequence[Entry]) -> JournalEntry | None:
        for entry in entries:
            del self._unused[entry.number]
            if entry.place.kind == "told":
                self._told[entry.place.run].subtract(entry.value)
        gone = {entry.number for entry in entries}
        self._order = [each for each in self._order if each[0] not in gone]
        return self.row(Place(self.task_id, (), "drop", "outdated"), sorted(gone))


def digest(value: Any) -> str:
    """A short digest of anything that JSON can say, texts standing in for what it cannot."""
    return hashlib.sha256(_digest_text(value).encode()).hexdigest()[:24]


def too_large(what: str) -> NewEvent:
    """The event that says that a call was not journaled."""
    text = f"{what} is larger than {VALUE_BYTES // 1024**2} MiB and is not journaled: a retry would do it again."
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "journal"})


def no_longer_fits() -> NewEvent:
    """The event that says that a part of the journal was dropped."""
    text = (
        "What an earlier attempt did no longer fits: model, tools or messages have changed. From here it is done anew."
    )
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "journal"})


def discard_text() -> NewEvent:
    """The event that takes back streamed text whose answer was never completed."""
    text = "Discard the unfinished text: its answer broke off and is given anew."
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "discard"})


def _beside(place: Place, run: str, path: tuple[str, ...]) -> bool:
    """Whether a call belongs to another branch of the same run: neither above the path nor below it."""
    shorter = min(len(place.path), len(path))
    return place.run == run and place.path[:shorter] != path[:shorter]


def _key(place: Place, number: Number) -> str:
    text = "/".join([place.run, *place.path, place.kind, place.at])
    if not (text.isascii() and text.isprintable()):
        text = _UNPRINTABLE.sub("?", text)
    if len(text) > KEY_CHARACTERS:
        text = f"{place.run}/{digest(text)}"
    return f"{text}#{number[0]}.{number[1]}"


def _number(key: str) -> Number:
    attempt, _, number = key.rpartition("#")[2].partition(".")
    return int(attempt), int(number)
