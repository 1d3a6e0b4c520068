"""Waits of a handler, for a time or for a signal. A long wait ends the attempt, so it holds no worker slot."""

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from worker.contracts import Platform
from worker.current import Run
from worker.face import bridge
from worker.face.journaling import journal_of, load, note, noted, work_of
from worker.words.errors import ValidationError
from worker.words.outcomes import HandBack
from worker.words.outside_rows import signal_in
from worker.words.signals import ReceivedSignal

SHORT_SECONDS = 5.0  # shorter waits do not end the attempt
POLL_SECONDS = 0.25  # between polls for a signal during a short wait
YEAR_SECONDS = 365 * 86_400.0  # the longest single hand-back; a longer wait is split

Match = Mapping[str, Any] | Callable[[Any], bool]


def seconds_of(given: timedelta | float, name: str) -> float:
    """Return a duration in seconds; a negative one is over, so it is 0.

    A handler that waits until a fixed time subtracts the clock's time from it, and does so again after the wait.

    Args:
        given: The duration, as a ``timedelta`` or in seconds.
        name: The parameter's name, for the error.

    Raises:
        ValidationError: The duration is infinite or not a number.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValidationError(f"{name} must be a timedelta or a number of seconds, not {given!r}.", field=name)
    return max(0.0, float(seconds))


class Sleep:
    """A wait for a time.

    Args:
        run: The attempt.
        seconds: Length of the wait, counted from the first attempt that reaches it.
    """

    def __init__(self, run: Run, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._at = journal_of(run).step("sleep")

    async def left(self, platform: Platform) -> float:
        """Return the seconds left of the wait. Its end is journaled before the wait begins."""
        await load(self._run, platform)
        return await _until(self._run, platform, self._at, self._seconds)

    def suspend(self, left: float) -> asyncio.CancelledError:
        """End the attempt for the remaining seconds, and return the exception to raise."""
        return self._run.suspend(HandBack(min(left, YEAR_SECONDS), waiting_for=f"sleeps for {_words(self._seconds)}"))


async def sleep(run: Run, seconds: float) -> None:
    """Wait, in the attempt if the wait is short.

    Raises:
        asyncio.CancelledError: The wait is long, so the attempt ends until it is over.
    """
    wait = Sleep(run, seconds)
    left = await bridge.across(wait.left)
    if left > SHORT_SECONDS:
        raise wait.suspend(left)
    await _pause(run, max(0.0, left))


async def _pause(run: Run, seconds: float) -> None:
    """Wait in the attempt. A handler that is not async waits in its thread, which the end of the run wakes."""
    if not bridge.is_blocking():
        await asyncio.sleep(seconds)
    elif run.stopping.wait(seconds):
        raise asyncio.CancelledError(run.stopping.reason)


class SignalWait:
    """A wait for a signal.

    Args:
        run: The attempt.
        name: The signal's name.
        timeout: Seconds to wait; None means without limit.
        match: Items that the signal's data must contain, or a predicate on the data; None matches any data.
    """

    def __init__(self, run: Run, name: str, timeout: float | None, match: Match | None) -> None:
        self._run = run
        self._journal = journal_of(run)
        self._name = name
        self._timeout = timeout
        self._match = match
        self._at = self._journal.step(f"wait {name}")
        self._heard = 0
        self._left = YEAR_SECONDS
        self._ends: float | None = None

    async def look(self, platform: Platform) -> "list[Any] | None":
        """Return the data of a matching signal in a list of one, or None if none has arrived yet.

        Raises:
            TimeoutError: None arrived in time, in this attempt or an earlier one.
        """
        await load(self._run, platform)
        known = noted(self._run, self._at)
        if known is not None:
            return self._answered(known.value)
        if self._timeout is not None and self._ends is None:
            left = await _until(self._run, platform, f"{self._at}.until", self._timeout)
            self._ends = time.monotonic() + left
        if self._ends is not None:
            self._left = self._ends - time.monotonic()
        signals = await self._signals(platform)
        self._heard = len(signals)
        found = next((each for each in signals if self._fits(each)), None)
        if found is None and self._left > 0:
            return None
        value = {"timed_out": True} if found is None else {"signal": found.number, "data": found.data}
        await note(self._run, {self._at: value}, platform)
        return self._answered(value)

    async def _signals(self, platform: Platform) -> list[ReceivedSignal]:
        rows = await work_of(self._run, platform).journal(self._run.task_id)
        found = [signal_in(json.loads(text)) for key, text in rows.items() if key.startswith("signal/")]
        return sorted((each for each in found if each is not None), key=lambda each: each.number)

    def _fits(self, signal: ReceivedSignal) -> bool:
        if signal.name != self._name or signal.number in self._journal.used_signals:
            return False
        if self._match is None:
            return True
        if isinstance(self._match, Mapping):
            data = signal.data
            return isinstance(data, dict) and all(data.get(key) == value for key, value in self._match.items())
        return bool(self._match(signal.data))

    def _answered(self, value: Any) -> list[Any]:
        if value.get("timed_out"):
            raise TimeoutError(f"no signal {self._name!r} was received within {_words(self._timeout or 0.0)}")
        self._journal.used_signals.add(value["signal"])
        return [value.get("data")]

    @property
    def is_short(self) -> bool:
        """Whether the rest of the wait is short enough to spend it in this attempt."""
        return self._left <= SHORT_SECONDS

    def suspend(self) -> asyncio.CancelledError:
        """End the attempt until a signal arrives or the wait times out, and return the exception to raise."""
        text = f"waits for the signal {self._name!r}"[:400]
        return self._run.suspend(HandBack(min(self._left, YEAR_SECONDS), waiting_for=text, heard=self._heard))


async def wait_for(run: Run, listening: SignalWait) -> Any:
    """Wait for a signal and return its data.

    Raises:
        TimeoutError: No matching signal arrived in time.
        asyncio.CancelledError: The wait is long, so the attempt ends until a signal arrives.
    """
    while (found := await bridge.across(listening.look)) is None:
        if not listening.is_short:
            raise listening.suspend()
        await _pause(run, POLL_SECONDS)
    return found[0]


async def _until(run: Run, platform: Platform, at: str, seconds: float) -> float:
    """Return the seconds until the end of a wait, which the first attempt that reached it has set."""
    known = noted(run, at)
    if known is not None:
        return (datetime.fromisoformat(known.value["until"]) - run.now()).total_seconds()
    until = run.now() + timedelta(seconds=seconds)
    await note(run, {at: {"until": until.isoformat()}}, platform)
    return seconds


def _words(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
