"""The supervisor: one long-running process that claims, runs, and leaves nothing behind."""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Collection, Coroutine
from typing import Any

from worker.contracts import Platform
from worker.current import REASON_DRAIN
from worker.face import bridge
from worker.registry import Handler, Registry
from worker.settings import Settings
from worker.supervisor.calls import Caller
from worker.supervisor.executor import Execution, Executor
from worker.supervisor.listening import Listening
from worker.supervisor.verdict import REASON_LOST
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.ids import new_id
from worker.words.notices import (
    PlatformTrouble,
    TaskTaken,
    WorkerDraining,
    WorkerStarted,
    WorkerStopped,
    announce,
)
from worker.words.work import Assignment, Demand, Subscription, WorkerCard

PATIENCE = 5.0  # seconds that one wait for assignments lasts; a nudge ends it early
AGAIN = 0.5, 10.0  # seconds: first and longest wait before a platform in trouble is asked again
LOOK_SECONDS = 5.0  # how often the worker asks what it has lost, should a hint not have come
HAND_BACK_SECONDS = 4.0  # what cancelled runs get to be handed back; Heroku's 30 s less the drain's 24 leave six


class Supervisor:
    """A worker.

    Args:
        platform: Open; whose loop is the one that ``run`` is called on.
        registry: The handlers, checked.
        settings: Concurrency, lease, drain.
    """

    def __init__(self, platform: Platform, registry: Registry, settings: Settings) -> None:
        self._platform = platform
        self._registry = registry
        self._settings = settings
        self.card = introduce(registry, settings)
        self._caller = Caller(settings.concurrency)
        self._executor = Executor(platform, self._caller, lambda: self.draining, self._handled)
        self._listening = Listening(
            platform, self._caller, registry.listeners(), settings.concurrency, lambda: self.draining
        )
        self._handlers = {agent: registry.handler_for(agent) for agent in self.card.agents}
        self._general = registry.handler_for("")  # no agent has an empty name: the handler for any
        self._running: dict[tuple[str, int], Execution] = {}
        self._busy: Counter[Handler] = Counter()  # handlers at work, which is less than what is in hand
        self._freed = asyncio.Event()
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._hurry = asyncio.Event()
        self._look = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def draining(self) -> bool:
        """Whether it claims nothing more."""
        return self._stop.is_set()

    @property
    def running(self) -> int:
        """How many tasks it has in hand."""
        return len(self._running)

    async def run(self) -> None:
        """Work until ``stop``: boot, claim and run, drain, leave."""
        await self._boot()
        loops = [asyncio.create_task(each) for each in self._loops()]
        try:
            await self._until_stopped(loops)
        finally:
            await self._drain(loops)
            await self._leave()

    async def ready(self) -> None:
        """Wait until it claims."""
        await self._ready.wait()

    def stop(self) -> None:
        """Have it drain and leave; safe from any thread and signal handler; a second call changes nothing."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        else:
            self._stop.set()

    def hurry(self) -> None:
        """Have it leave now: what runs is handed back at once."""
        self.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hurry.set)

    async def _boot(self) -> None:
        self._loop = asyncio.get_running_loop()
        bridge.adopt(self._loop, self._platform)
        for hook in self._registry.boot_hooks:
            await self._caller.hook(hook)
        await self._platform.work.register(self.card)
        handlers = tuple(handler.name for handler in self._registry.handlers)
        announce(
            WorkerStarted(self.card.id, self.card.name, self._platform.description, self.card.concurrency, handlers)
        )
        self._ready.set()

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        loops: list[Coroutine[Any, Any, None]] = [self._intake(), self._look_for_lost()]
        if self._registry.listeners():
            loops.append(self._listening.run(self.card.id))
        return loops

    async def _until_stopped(self, loops: list[asyncio.Task[None]]) -> None:
        """Wait for the wish to stop; a loop that ends by a defect ends the worker, loudly."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done() and not self.draining:
                    loop.result()
        finally:
            stopped.cancel()
            self._stop.set()

    async def _intake(self) -> None:
        """Claim what can start now, and start it."""
        wait, longest = AGAIN
        while not self.draining:
            if self._places() <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                claimed = await self._platform.work.assignments(self.card.id, self._demand, PATIENCE)
                wait = AGAIN[0]
            except ConfigurationError:
                raise  # the platform refuses this worker for good: asking again would only hide it
            except ModuleException as error:
                announce(PlatformTrouble(doing="asking for tasks", error=error, again_in=wait))
                await self._pause(wait)
                wait = min(wait * 2, longest)
                continue
            for assignment in claimed:
                self._start(assignment)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _places(self) -> int:
        """How many more handlers may start; results still to be written count once they are as many again."""
        concurrency = self._settings.concurrency
        return min(concurrency - self._busy.total(), 2 * concurrency - len(self._running))

    def _demand(self) -> Demand:
        """How many tasks could start now: the worker's free places, and each handler's own limit."""
        total = 0 if self.draining else max(0, self._places())

        def free(handler: Handler | None) -> int:
            if handler is None:
                return 0
            return (
                total if handler.concurrency is None else max(0, min(total, handler.concurrency - self._busy[handler]))
            )

        agents = {agent: free(handler) for agent, handler in self._handlers.items()}
        return Demand(total, agents, free(self._general) if self.card.any_agent else 0)

    def _start(self, assignment: Assignment) -> None:
        handler = self._handlers.get(assignment.task.agent_id) or self._general
        if handler is None:  # the demand names served agents alone
            raise RuntimeError(f"no handler serves agent {assignment.task.agent_id!r}")
        execution = self._executor.prepare(assignment, handler)
        key = (assignment.task.id, assignment.attempt)
        self._running[key] = execution
        self._busy[handler] += 1
        execution.worker = asyncio.create_task(self._executor.execute(execution), name=f"task {assignment.task.id}")
        execution.worker.add_done_callback(lambda done: self._ended(key, done))

    def _handled(self, handler: Handler) -> None:
        self._busy[handler] -= 1
        self._freed.set()
        if handler.concurrency is not None:
            self._platform.work.nudge()  # its own limit has room again, which a wait for other agents does not see

    def _ended(self, key: tuple[str, int], done: asyncio.Task[None]) -> None:
        self._running.pop(key, None)
        self._freed.set()
        error = None if done.cancelled() else done.exception()
        if isinstance(error, Exception):
            announce(PlatformTrouble(doing="carrying out a task", error=error, again_in=0.0))

    async def _look_for_lost(self) -> None:
        """End runs whose attempt owns its task no longer: stopped, taken, or gone."""
        end_listening = self._platform.work.on_change(self._changed)
        try:
            while True:
                self._look.clear()
                await self._end_lost()
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._look.wait()
                except TimeoutError:
                    continue
        finally:
            end_listening()

    def _changed(self, task_ids: Collection[str]) -> None:
        held = {task_id for task_id, _ in self._running}
        if not held.isdisjoint(task_ids):
            self._look.set()

    async def _end_lost(self) -> None:
        held = dict(self._running.keys())
        try:
            lost = await self._platform.work.lost(held)
        except ModuleException:
            return  # asked again in time; a write of the run would be refused anyway
        for task_id, status in lost.items():
            execution = self._running.get((task_id, held[task_id]))
            if execution is not None and not execution.writing:
                announce(TaskTaken(task_id, execution.task.agent_id, execution.attempt, str(status)))
                execution.cancel(REASON_LOST)

    async def _drain(self, loops: list[asyncio.Task[None]]) -> None:
        """Claim nothing more, let what runs finish, hand back the rest.

        One deadline over all of it: WORKER_DRAIN_SECONDS, 24 by default, since Heroku kills at 30.
        """
        deadline = time.monotonic() + self._settings.drain_seconds
        announce(WorkerDraining(self.card.id, len(self._running), self._settings.drain_seconds))
        self._platform.work.nudge()
        self._freed.set()
        intake, lookout, *_ = loops
        await asyncio.wait([intake], timeout=PATIENCE)
        await self._wait_for_runs(deadline)
        lookout.cancel()
        self._handed_back = await self._hand_back_rest()
        await self._listening.drain(max(0.0, deadline - time.monotonic()))
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    async def _wait_for_runs(self, deadline: float) -> None:
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            while self._running and not hurry.done() and time.monotonic() < deadline:
                runs = [each.worker for each in self._running.values() if each.worker is not None]
                await asyncio.wait(
                    [hurry, *runs],
                    timeout=deadline - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            hurry.cancel()

    async def _hand_back_rest(self) -> int:
        """Cancel what still runs; each hands itself back as it ends. Sync work cannot be ended: ``leave`` frees it."""
        rest = list(self._running.values())
        for execution in rest:
            execution.cancel(REASON_DRAIN)
        workers = [each.worker for each in rest if each.worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=HAND_BACK_SECONDS)
        return len(rest)

    async def _leave(self) -> None:
        """Say goodbye: hooks first, then the last write, which frees whatever is still held."""
        for hook in self._registry.shutdown_hooks:
            try:
                await self._caller.hook(hook)
            except Exception as error:  # noqa: BLE001 - a hook's failure must not keep tasks from others
                announce(PlatformTrouble(doing="running a shutdown hook", error=error, again_in=0.0))
        try:
            await self._platform.work.leave(self.card.id)
        except ModuleException as error:  # its lease runs out by itself
            announce(PlatformTrouble(doing="leaving", error=error, again_in=0.0))
        self._caller.close()
        await bridge.release()
        announce(WorkerStopped(self.card.id, self._handed_back))

    _handed_back = 0


def introduce(registry: Registry, settings: Settings) -> WorkerCard:
    """Make a worker's card of what it can do and where it runs."""
    named = [handler.agent_id for handler in registry.tasks() if handler.agent_id is not None]
    general = any(handler.agent_id is None for handler in registry.tasks())
    asked = settings.agent_ids
    agents = [agent for agent in asked if general or agent in named] if asked else named
    name = os.environ.get("DYNO") or f"{socket.gethostname()}:{os.getpid()}"
    subscriptions = tuple(
        Subscription(handler.name, handler.event_type, handler.agent_id) for handler in registry.listeners()
    )
    return WorkerCard(
        id=new_id(),
        name=name,
        agents=tuple(agents),
        any_agent=general and not settings.agent_ids,
        concurrency=settings.concurrency,
        lease_seconds=settings.lease_seconds,
        subscriptions=subscriptions,
    )
