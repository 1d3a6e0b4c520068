"""Delays that a provider asks for, in any of the forms that providers use."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from worker.words.error_facts import Facts, attribute

MAX_SECONDS = 86_400.0  # a day, the longest period of any provider's limit; a waiting task holds no resources

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
SECONDS = ("retry-after", "x-retry-after")

LIMITS = (
    re.compile(r"x-ratelimit-(?P<what>remaining|reset)(?P<of>-(?:requests|tokens)(?:-(?:minute|day|hour))?)?\Z"),
    re.compile(
        r"anthropic-ratelimit(?P<of>-(?:requests|tokens|input-tokens|output-tokens))-(?P<what>remaining|reset)\Z"
    ),
    re.compile(r"(?:x-)?rate-?limit(?P<of>)-(?P<what>remaining|reset)\Z"),
)
"""Headers with the remainder and the reset time of a limit: of OpenAI and Groq, of Anthropic, of the IETF."""

PART = r"(?:\d{1,7}(?:\.\d{1,9})?)\s?(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
TEXT = re.compile(
    rf"(?:try again|retry(?:ing)?|retry after|wait|available again|reset(?:s)?)\s(?:in|after|for)?\s?(?:about\s)?"
    rf"(?P<wait>{PART}(?:[\s,]{{0,2}}(?:and\s)?{PART}){{0,3}})(?![a-z])",
    re.IGNORECASE,
)
"""Matches “Please try again in 7.5s”, “Please retry in 37.9s”, “Retry after 1m30s”, “wait 12 seconds”."""

DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,9})?)\s?([a-z]+)", re.IGNORECASE)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def requested_wait(error: BaseException, facts: Facts) -> float | None:
    """Return the seconds that an exception asks to wait, 0 to a day; None if it does not ask.

    Args:
        error: The exception, which may have a ``retry_after`` attribute.
        facts: Its other facts.
    """
    for seconds in _hints(error, facts):
        if seconds is not None and isfinite(seconds):
            return max(0.0, min(seconds, MAX_SECONDS))
    return None


def _hints(error: BaseException, facts: Facts) -> Iterator[float | None]:
    """Iterate over all hints, from explicit delays to inferred ones."""
    yield _moment(attribute(error, "retry_after"))
    for name in MILLISECONDS:
        milliseconds = _number(facts.headers.get(name))
        yield None if milliseconds is None else milliseconds / 1000
    for name in SECONDS:
        yield _moment(facts.headers.get(name))
    for each in facts.details:
        yield duration(each.get("retryDelay"))
    yield _number(facts.body.get("retry_after"))
    yield _number(facts.body.get("estimated_time"))  # Hugging Face: the model is being loaded
    yield _of_text(facts.message)
    if facts.status in {None, 429, 503, 529}:
        yield _reset(facts.headers)


def duration(text: object) -> float | None:
    """Return the seconds of a duration such as ``37s``, ``6m0s``, ``1.5 minutes``, ``120ms``; None if it is not one."""
    if not isinstance(text, str) or len(text) > 100:  # noqa: PLR2004 - longer than any duration
        return None
    parts = DURATION.findall(text)
    others = DURATION.sub("", text).replace("and", "").strip(" ,")
    is_whole = not others and all(unit[0].lower() in UNITS for _, unit in parts)
    return sum(float(number) * _unit(unit) for number, unit in parts) if parts and is_whole else None


def _unit(name: str) -> float:
    lower = name.lower()
    return UNITS["ms"] if lower == "ms" or lower.startswith("milli") else UNITS[lower[0]]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _moment(value: Any) -> float | None:
    """Parse the time until a moment: seconds, a Unix time in seconds or milliseconds, a date, or a duration."""
    number = _number(value)
    if number is not None:
        now = time.time()
        if not isfinite(number) or number < now / 2:
            return number
        return (number / 1000 if number > now * 500 else number) - now
    if not isinstance(value, str):
        return None
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, OverflowError, TypeError, OSError):
            moment = parse(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time()
    return duration(value)


def _of_text(text: str) -> float | None:
    found = TEXT.search(text[:4000])
    return duration(found["wait"]) if found else None


def _reset(headers: dict[str, str]) -> float | None:
    """Return the seconds until the exhausted limit resets; of several, the last."""
    left: dict[str, float] = {}
    resets: dict[str, float] = {}
    for name, value in headers.items():
        found = next((match for each in LIMITS if (match := each.match(name))), None)
        if found is None:
            continue
        read = _number(value) if found["what"] == "remaining" else _moment(value)
        if read is not None:
            (left if found["what"] == "remaining" else resets)[found["of"] or ""] = read
    used_up = [seconds for of, seconds in resets.items() if left.get(of, 0.0) <= 0]
    return max(used_up, default=None)
