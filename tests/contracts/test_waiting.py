"""Pauses between tries: they grow to a limit, begin again after a success, and differ from worker to worker."""

import ast
import asyncio
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import worker
from worker.contracts import waiting
from worker.contracts.waiting import Backoff, until_answered, until_done, within
from worker.words.errors import ConfigurationError, ModuleException, Unavailable

SHORT = Backoff(0.001, 0.002)
WAITING = Path(worker.__file__).parent / "contracts/waiting.py"


def test_pauses_double_up_to_the_longest_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", max)
    pauses = Backoff(0.2, 15.0).pauses()
    assert [pauses.next() for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]
    pauses.reset()
    assert [pauses.next(), pauses.next()] == [0.2, 0.4]
    pauses.at_least(2.0)
    assert [pauses.next(), pauses.next()] == [2.0, 4.0]


def test_no_two_workers_pause_alike() -> None:
    seen = [Backoff(1.0, 1.0).pauses().next() for _ in range(100)]
    assert len(set(seen)) == 100
    assert all(0.5 <= each <= 1.0 for each in seen)
    assert max(abs(one - other) for one, other in pairwise(sorted(seen))) < 0.25, "spread over the whole half"


async def test_within_says_whether_the_event_came() -> None:
    event = asyncio.Event()
    assert not await within(event, 0.001)
    asyncio.get_running_loop().call_soon(event.set)
    assert await within(event, 30)


async def test_a_platform_that_is_away_is_asked_until_it_answers_and_its_refusal_is_an_answer() -> None:
    left = 5

    async def ask() -> str:
        nonlocal left
        left -= 1
        if left:
            raise Unavailable("away")
        return "here"

    assert await until_answered(ask, "trying", backoff=SHORT) == "here"
    assert not left

    async def refuse() -> None:
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError):
        await until_answered(refuse, "trying", backoff=SHORT)


async def test_a_fault_of_the_platform_is_asked_about_again_a_few_times_only() -> None:
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise ModuleException(500, "a fault")

    with pytest.raises(ModuleException, match="a fault"):
        await until_answered(ask, "trying", backoff=SHORT)
    assert asked == waiting.FAULTS


async def test_nothing_is_asked_again_once_whoever_asks_is_closing() -> None:
    closing = asyncio.Event()
    asked = asyncio.Event()

    async def ask() -> None:
        asked.set()
        raise Unavailable("away")

    asking = asyncio.create_task(until_answered(ask, "trying", backoff=Backoff(3600, 3600), closing=closing))
    await asked.wait()
    closing.set()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(asking, 30)


async def test_what_is_kept_up_begins_again_with_the_first_pause_after_each_success() -> None:
    resets: list[int] = []
    tries = 0

    async def once(well: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            resets.append(tries)
            well()
        if tries < 5:
            raise Unavailable("away")

    await until_done("trying", once, backoff=SHORT)
    assert (tries, resets) == (5, [3])


async def test_what_no_further_try_mends_is_raised_at_once() -> None:
    async def once(_: Any) -> None:
        raise ConfigurationError("another environment serves this agent")

    with pytest.raises(ConfigurationError):
        await until_done("trying", once, backoff=SHORT, give_up=(ConfigurationError,))


def test_no_other_module_grows_its_own_pauses_or_waits_for_an_event_by_hand() -> None:
    found = [
        f"{path.relative_to(WAITING.parents[1])}:{line}"
        for path in sorted(WAITING.parents[1].rglob("*.py"))
        if path != WAITING
        for line in _by_hand(ast.parse(path.read_text()))
    ]
    assert not found, "contracts/waiting.py has Backoff and within()"


def _by_hand(tree: ast.Module) -> list[int]:
    """Lines with ``wait = min(wait * 2, …)``, and with nothing but ``await event.wait()`` under a time limit."""
    lines: list[int] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("min"), args=[ast.BinOp(op=ast.Mult(), right=ast.Constant(2)), _]):
                lines.append(node.lineno)
            case ast.AsyncWith(
                items=[ast.withitem(ast.Call(func=ast.Attribute(attr="timeout")))],
                body=[ast.Expr(ast.Await(ast.Call(func=ast.Attribute(attr="wait"), args=[])))],
            ):
                lines.append(node.lineno)
            case _:
                pass
    return lines
