"""Tracebacks in the log: as Python prints them, and bounded, whatever an error carries."""

import time
import traceback
from collections.abc import Callable

import pytest

from worker.telemetry.tracebacks import formatted


def caught(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - it must have been raised to have a traceback
    except BaseException as raised:  # noqa: BLE001 - any is wanted
        return raised


def recursion(depth: int = 0) -> None:
    if depth < 400:
        other(depth)
    raise ValueError("at the bottom")


def other(depth: int) -> None:
    recursion(depth + 1)


def nested() -> None:
    try:
        raise KeyError("inner")  # noqa: TRY301 - it must have been raised to have a traceback
    except KeyError as error:
        error.add_note("a note")
        raise ExceptionGroup("outer", [ValueError("one"), TypeError("two")]) from error


def test_an_ordinary_one_is_as_python_prints_it() -> None:
    with pytest.raises(ExceptionGroup) as caught_group:
        nested()
    error = caught_group.value
    expected = "".join(traceback.format_exception(error)).rstrip("\n")
    assert formatted((type(error), error, error.__traceback__)) == formatted(error) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("y\n" * 10_000_000),
        lambda: ExceptionGroup("z\n" * 10_000_000, [ValueError("q\n" * 10_000_000)] * 3),
        lambda: ExceptionGroup("wide", [ValueError(str(number)) for number in range(300_000)]),
    ],
    ids=["message", "group", "wide"],
)
def test_a_huge_one_is_short_and_quick(make: Callable[[], Exception]) -> None:
    error = make()
    began = time.process_time()
    text = formatted(caught(error))
    assert time.process_time() - began < 0.5  # within the loop's quarter of a second, on a machine of half the speed
    assert len(text) < 100_000
    assert type(error).__name__ in text


def test_notes_are_bounded_too() -> None:
    error = ValueError("x")
    for _ in range(50):
        error.add_note("n" * 100_000)
    assert len(formatted(caught(error))) < 100_000


def test_a_deep_one_ends_with_its_message() -> None:
    with pytest.raises(ValueError, match="bottom") as failure:
        recursion()
    text = formatted(failure.value)
    assert text.endswith("ValueError: at the bottom")
    assert text.count("in recursion") == 50
