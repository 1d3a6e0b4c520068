"""Runs of agents, teams and workflows that a handler makes without `run_agent`: how they end."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from worker.agents.instrumentation.identities import name_of
from worker.agents.instrumentation.steps import failed_steps
from worker.agents.overrides import without_users
from worker.agents.runs.endings import ERRORS, PAUSES
from worker.agents.runs.failures import no_users
from worker.current import Run
from worker.words.bare_runs import BareRun

owners: ContextVar[tuple[Any, ...]] = ContextVar("bare_owners_in_hand", default=())
"""The agents, teams and workflows whose runs the current code is part of, the outermost first."""


def made(run: Run, original: Any, owner: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Make a run of an agent, team or workflow as Agno does, and record its outcome.

    Args:
        run: The attempt.
        original: Agno's method.
        owner: The agent, team or workflow; a copy is run instead if it would remember users and there is no user.
        arguments: The method's positional arguments.
        options: Its keyword arguments.
    """
    own = without_users(owner, options.get("user_id"))
    if own is not owner:
        run.bare.note(no_users(name_of(owner) or "the agent"))
    if not owners.get():
        run.bare.begin()
    with _run_by(own), failed_steps.failures_raised():
        result = failed_steps.raising(original(own, *arguments, **options))
    if isinstance(result, AsyncIterator):
        return _iterated(run, own, result)
    if isinstance(result, Iterator):
        return _iterated_sync(run, own, result)
    if hasattr(result, "__await__"):
        return _awaited(run, own, result)
    _look(run, own, result)
    return result


@contextmanager
def _run_by(owner: Any) -> Generator[None]:
    """Mark an agent, team or workflow as the owner of calls made inside the block."""
    token = owners.set((*owners.get(), owner))
    try:
        yield
    finally:
        owners.reset(token)


async def _awaited(run: Run, owner: Any, result: Any) -> Any:
    with _run_by(owner):
        answer = await result
    _look(run, owner, answer)
    return answer


async def _iterated(run: Run, owner: Any, items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    texts: list[str] = []
    try:
        while True:
            with _run_by(owner):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            _look(run, owner, item, texts)
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _iterated_sync(run: Run, owner: Any, items: Iterator[Any]) -> Iterator[Any]:
    texts: list[str] = []
    while True:
        with _run_by(owner):
            try:
                item = next(items)
            except StopIteration:
                return
        _look(run, owner, item, texts)
        yield item


def _look(run: Run, owner: Any, item: Any, texts: list[str] | None = None) -> None:
    """Record a run that failed or waits for a person, and what it has streamed."""
    status = str(getattr(getattr(item, "status", None), "value", ""))
    event = getattr(item, "event", None)
    name = str(getattr(owner, "name", None) or getattr(owner, "id", None) or type(owner).__name__)
    text = str(getattr(item, "error", None) or getattr(item, "content", None) or "")
    if texts is not None and str(event).endswith("RunContent"):
        texts.append(text)
    if status == "ERROR" or event in ERRORS:
        streamed = None if texts is None or owners.get() else "".join(texts)
        run.bare.ended.append(BareRun(name, text, run.bare.behind(text), streamed=streamed))
    elif status == "PAUSED" or event in PAUSES:
        run.bare.ended.append(BareRun(name, text, output=item))
