"""A worker that cannot renew ends its runs at its lease's end, by its own clock, and nothing is left executing."""

import asyncio
import threading
import time

import pytest

from tests.engine.proxy import Proxy, far, way
from tests.supervisor.stories import Handlers, Serve, create, finished
from tests.support import wait_until
from worker import Context, Task
from worker.contracts.lease import OwnLease
from worker.engine.database import session_settings
from worker.engine.engine import Engine
from worker.words.notices import Notice, WorkerCutOff
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["far", "way"]

pytestmark = pytest.mark.usefixtures("environment")

KINDS = ("on_the_loop", "in_a_thread", "waiting_for_an_ok")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are waited for for a moment only, and half of the shortest lease is taken for all of it."""
    monkeypatch.setattr(session_settings.AsyncSession, "answer_seconds", 0.5)
    monkeypatch.setattr(session_settings.Session, "answer_seconds", 0.5)
    whole = OwnLease.renewed

    def renewed(lease: OwnLease, asked: float, seconds: float) -> None:
        whole(lease, asked, seconds / 2)

    monkeypatch.setattr(OwnLease, "renewed", renewed)


class Runs:
    """A handler that works for a while without a word to the platform, at its first attempt until it is ended."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def on_the_loop(self, context: Context) -> str:
        if context.attempt != 1:
            return "done"
        self.begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.ended.set()
        return "never"

    def in_a_thread(self, context: Context) -> str:
        if context.attempt != 1:
            return "done"
        self.begun.set()
        context.stopping.wait(60)
        self.ended.set()
        return "never"

    async def waiting_for_an_ok(self, task: Task, context: Context) -> str:
        if context.attempt != 1:
            return "done"
        self.begun.set()
        try:
            while True:
                task.internal_status = str(time.monotonic())
                await task.asave()
        finally:
            self.ended.set()


async def test_runs_end_at_the_leases_end_and_go_on_elsewhere(
    far: Engine, way: Proxy, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    runs = {kind: Runs() for kind in KINDS}
    for kind, each in runs.items():
        handlers.bind(getattr(each, kind), agent=kind)
    async with serve(far, lease_seconds=3, concurrency=len(KINDS)):
        tasks = [await create(far, kind) for kind in KINDS]
        await wait_until(lambda: all(each.begun.is_set() for each in runs.values()), "all of them run", 20)
        way.hold(new=True)
        await wait_until(
            lambda: all(each.ended.is_set() for each in runs.values()), "they end while nobody answers", 20
        )
        assert [each.running for each in notices if isinstance(each, WorkerCutOff)] == [len(KINDS)]
        way.let_new()
        done = [await finished(far, task) for task in tasks]
    assert {(each.status, each.result, each.errors, each.crashes) for each in done} == {
        (Status.Completed, "done", 0, 0)
    }
