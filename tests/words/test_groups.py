"""What a group of exceptions says: what is in it."""

import asyncio

import pytest

from worker.words.classification import classify, message_of
from worker.words.errors import Escaped, GiveUp
from worker.words.exception_groups import MAX_MEMBERS, members


class Sly(ExceptionGroup[Exception]):
    """Whose own text and members are not to be had."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    @property
    def exceptions(self) -> tuple[Exception, ...]:  # type: ignore[override]
        raise RuntimeError("no")

    message = exceptions  # type: ignore[assignment]


AWAY, DEFECT = ConnectionError("db away"), ValueError("no number")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (ExceptionGroup("unhandled errors in a TaskGroup", [AWAY]), "db away"),
        (ExceptionGroup("three tries", [AWAY, DEFECT]), "three tries: db away; no number"),
        (
            ExceptionGroup("", [ExceptionGroup("", [AWAY]), ConnectionError("db away"), KeyError("k")]),
            "db away; KeyError: 'k'",
        ),
        (ExceptionGroup("", [ValueError(str(number)) for number in range(8)]), "0; 1; 2; 3; 4; and 3 more"),
        (Sly("sly", [AWAY]), "sly: db away"),
        (
            Escaped(BaseExceptionGroup("g", [SystemExit(2), DEFECT])),
            "BaseExceptionGroup: g: the task's code called sys.exit(2); ValueError: no number",
        ),
    ],
)
def test_its_message_is_that_of_what_is_in_it(group: Exception, expected: str) -> None:
    assert message_of(group) == expected


async def test_what_was_cancelled_beside_the_failure_does_not_count() -> None:
    group = BaseExceptionGroup("", [asyncio.CancelledError(), AWAY])
    assert classify(group).is_retryable
    assert not classify(BaseExceptionGroup("", [asyncio.CancelledError()])).is_retryable
    assert not classify(ExceptionGroup("", [AWAY, GiveUp("gone")])).is_retryable


def test_a_large_one_is_looked_at_in_part() -> None:
    wide = ExceptionGroup("", [ExceptionGroup("", [AWAY] * 100)] * 100)
    assert members(wide) == [AWAY] * MAX_MEMBERS
    assert members(DEFECT) == [DEFECT]
