"""The journal of a task: what its attempts have completed, so that a later one does not do it again.

A row is written once and never changed. Its key starts with the run's id (the task's and the number of the run within
its handler), then says who asked (``path``), what and where, and ends with ``#attempt.number``: an attempt's number is
never given twice, so keys are unique, and their ends say in which order things happened. What no longer counts is named
by a later row of the kind ``drop``, since rows are never taken out one by one.

Nothing here knows Agno: values are whatever JSON can say.
"""

import asyncio
import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

from worker.agents.held import Held
from worker.contracts import Work
from worker.words.digests import digest, mark
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

VALUE_BYTES = 50 * 1024 * 1024  # of one entry: what platforms store as a file, where large values go
KEY_CHARACTERS = 400  # a deeper one is shortened to a digest; PostgreSQL's index takes 2,700 bytes

Kind = Literal["model", "tool", "step", "open", "discard", "drop"]
Number = tuple[int, int]
"""Attempt, and the entry's place within it."""

_TOLD_BEFORE = "told"
"""A kind of row of earlier versions: what they told is in the log as well."""

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
        self._told: Counter[str] = Counter()  # by earlier attempts, and not yet come to by this one
        self._lately: list[NewEvent] = []  # told since the last answer of a model, by whichever attempt
        self._unfinished: Counter[str] = Counter()
        self._order: list[tuple[Number, Kind]] = []
        self._steps: Counter[str] = Counter()

    async def load(self, work: Work) -> None:
        """Read what earlier attempts left, once; a second call does nothing."""
        if self._loaded:
            return
        rows, told = await asyncio.gather(work.journal(self.task_id), work.told(self.task_id, self._attempt))
        if not self._loaded:  # another run of the same handler may have been faster
            self._loaded = True
            self._take_over(rows)
            self._told.update(told)

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
                if place.kind == "model":
                    self._lately.clear()
                return entry
        return None

    def row(
        self, place: Place, value: Any = None, *, closes: bool = False, again: Sequence[str] = ()
    ) -> JournalEntry | None:
        """Make the row of a completed call; none where it would be too large.

        Args:
            place: Where it stands.
            value: What JSON can say.
            closes: It completes an answer whose text was streamed.
            again: Marks of events that are in the log, and are to be told again all the same.
        """
        number = (self._attempt, next(self._numbers))
        run, path, kind, at, match = place
        body = {"run": run, "path": path, "kind": kind, "at": at, "match": match, "value": value}
        if closes:
            body["closes"] = True
        if again:
            body["again"] = again
        text = _row_text(body)
        if len(text) > VALUE_BYTES:
            return None
        if kind == "model":
            self._lately.clear()
        self._order.append((number, kind))
        return JournalEntry(_key(place, number), text.decode())

    def outdated(self, run: str, path: tuple[str, ...]) -> JournalEntry | None:
        """Give up what no longer fits, when a model is asked anew where entries of its earlier answers wait.

        From the first of them on everything counts no longer, but for what goes on beside it in the same run; and
        what has been told of what is yet to come is told again.

        Returns:
            The row that says so; none: everything fits.
        """
        if not self._unused:
            return None
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
        again = [mark(event) for event in self._lately]
        return self.row(Place(self.task_id, (), "drop", "last answer"), numbers, again=again)

    def untold(self, events: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Which events no earlier attempt has told: the log says which ones have been."""
        self._lately += events
        if not self._told:
            return events
        fresh: list[NewEvent] = []
        for event in events:
            known = mark(event)
            if self._told[known] > 0:
                self._told[known] -= 1
            else:
                fresh.append(event)
        return fresh

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
            if body["kind"] == _TOLD_BEFORE:
                continue
            place = Place(body["run"], tuple(body["path"]), body["kind"], body["at"], body["match"])
            if place.kind == "drop":
                for attempt, each in body["value"]:
                    entries.pop((attempt, each), None)
                self._told.subtract(body.get("again", ()))
                continue
            entries[number] = Entry(number, place, body["value"])
            self._count_text(place, closes=body.get("closes", False))
        for entry in entries.values():
            self._order.append((entry.number, entry.place.kind))
            self._unused[entry.number] = entry
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
        again = list(self._told.elements())
        self._told.clear()
        gone = {entry.number for entry in entries}
        self._order = [each for each in self._order if each[0] not in gone]
        return self.row(Place(self.task_id, (), "drop", "outdated"), sorted(gone), again=again)


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


def _row_text(body: dict[str, Any]) -> bytes:
    """JSON as PostgreSQL's text can hold it: NUL is always escaped, and half a surrogate pair where there is one."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body, separators=(",", ":")).encode()


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
