"""The supervisor, the core of the worker process: it claims and runs tasks, drains, and leaves."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

from worker import threads
from worker.contracts import Platform
from worker.contracts.waiting import until_answered
from worker.current import REASON_DRAIN
from worker.face import bridge
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor.calls import Caller
from worker.supervisor.claiming import PATIENCE, Intake
from worker.supervisor.hooks import Hooks
from worker.supervisor.listening import Listening
from worker.supervisor.lost_runs import LostRuns
from worker.supervisor.runs import Runs
from worker.supervisor.serving import Serving
from worker.supervisor.shared_loop import share
from worker.supervisor.timings import DEFAULT, WorkerTimings
from worker.supervisor.watch import LoopWatch
from worker.supervisor.wear import Wear
from worker.supervisor.wear_watch import WearWatch
from worker.threads import MODEL_CALLS, Threads
from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import (
    HandlersReloaded,
    PlatformTrouble,
    WorkerDraining,
    WorkerStarted,
    WorkerStopped,
    announce,
)
from worker.words.work import WorkerCard


class Supervisor:
    """A worker.

    Args:
        platform: Opened by ``run``, on whose loop it is used.
        registry: The handlers, already checked.
        settings: Concurrency, lease, drain.
        timings: Intervals and timeouts that are not user settings.
    """

    def __init__(
        self, platform: Platform, registry: Registry, settings: Settings, timings: WorkerTimings = DEFAULT
    ) -> None:
        self._platform = platform
        self._settings = settings
        self._timings = timings
        self._hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
        self._caller = Caller(settings.concurrency)
        self._runs = Runs(settings.concurrency, settings.max_tasks)
        self._wear = Wear(settings, self._pools, lambda: self._watch.recent_blocks() if self._watch else [], timings)
        self._intake = Intake(
            platform,
            settings,
            Serving(registry, settings),
            self._runs,
            self._caller,
            draining=lambda: self.draining,
            ended=self._wear.ended,
        )
        self._lost_runs = LostRuns(platform, self._runs, timings)
        self._wear_watch = WearWatch(platform, self.card.id, self._wear, self._runs, timings)
        self._listening = self._listen_with(self._intake.serving)
        self._former: dict[asyncio.Task[None], Listening] = {}  # handlers replaced by reloads, until their runs end
        self._reloaded = asyncio.Event()
        self._stop = asyncio.Event()
        self._stop_requested = False  # set by ``stop`` at once, before the loop notices what the signal did to a child
        self._ready = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._threads: Threads | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: LoopWatch | None = None

    @property
    def card(self) -> WorkerCard:
        """The description of the worker that the platform gets."""
        return self._intake.serving.card

    @property
    def is_worn_out(self) -> bool:
        """Whether the worker has left because its threads hang."""
        return self._wear_watch.is_worn_out

    @property
    def draining(self) -> bool:
        """Whether the worker claims nothing more."""
        return self._stop_requested or self._stop.is_set()

    @property
    def running(self) -> int:
        """The number of current runs."""
        return len(self._runs)

    @property
    def loop_lag(self) -> float:
        """The seconds that the event loop last took to run a callback; grows while a handler blocks the loop."""
        return self._watch.lag if self._watch is not None else 0.0

    async def run(self) -> None:
        """Work until ``stop`` is called: boot, claim and run, drain, leave."""
        self._loop = asyncio.get_running_loop()
        try:
            if await self._unless_stopped(self._boot()):
                await self._serve()
        finally:
            await self._leave()

    async def _serve(self) -> None:
        loops = [asyncio.create_task(each) for each in self._loops()]
        try:
            await self._until_stopped(loops)
        finally:
            await self._drain(loops)

    async def ready(self) -> None:
        """Wait until the worker has registered and claims tasks."""
        await self._ready.wait()

    def stop(self) -> None:
        """Make the worker drain and leave. Safe in any thread and signal handler; further calls have no effect."""
        self._stop_requested = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed because the worker has left
                self._loop.call_soon_threadsafe(self._stop.set)
        else:
            self._stop.set()

    def stop_now(self) -> None:
        """Make the worker leave without waiting for running tasks, which are handed back immediately."""
        self.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_now.set)

    async def reload(self, registry: Registry) -> None:
        """Replace the handlers; running tasks finish with the handlers that they started with.

        The new boot hooks run first; the old shutdown hooks run once the last old run has ended.

        Args:
            registry: The new handlers, already checked.

        Raises:
            ModuleException: The platform cannot register them now; the old handlers stay in use.
            Exception: A boot hook raised it; the old handlers stay in use.
        """
        new = Serving(registry, self._settings, self.card.id)
        hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
        try:
            await hooks.boot()
            await self._platform.work.register(new.card)
        except BaseException:
            await hooks.shut_down(self._timings.hooks)
            raise
        former, self._hooks = self._hooks, hooks
        listening, self._listening = self._listening, self._listen_with(new)
        self._intake.serving = new
        runs = self._runs.workers()
        leaving = asyncio.create_task(self._let_go(former, listening, runs), name="handlers before a reload")
        self._former[leaving] = listening
        leaving.add_done_callback(lambda done: self._former.pop(done, None))
        self._reloaded.set()
        self._runs.freed.set()
        self._platform.work.nudge()
        announce(HandlersReloaded(self.card.id, _names(registry)))

    async def _unless_stopped(self, boot: Coroutine[Any, Any, None]) -> bool:
        """Boot unless the worker is stopped first, when it has claimed nothing yet; return whether it has booted."""
        starting, stopped = asyncio.create_task(boot, name="boot"), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            return starting.done()
        finally:
            starting.cancel()
            stopped.cancel()
            await asyncio.wait([starting, stopped], timeout=self._timings.hooks)

    async def _open(self) -> None:
        """Open the platform. Wait for an unavailable database: process managers back off from a worker that exits."""
        opened = self._platform.open
        await (until_answered(opened, "opening the platform") if self._settings.database_url else opened())

    async def _register(self) -> None:
        self._is_listed = True  # assumed: the request may be cancelled halfway
        try:
            await self._platform.work.register(self.card)
        except Unavailable:
            self._is_listed = False
            raise

    async def _boot(self) -> None:
        await self._open()
        loop = asyncio.get_running_loop()
        self._threads = threads.serve(loop, self._settings.concurrency)
        share(loop)
        self._watch = LoopWatch(loop, self._runs.attempts, self._timings)
        self._watch.start()
        bridge.adopt(loop, self._platform)
        registry = self._intake.serving.registry
        await self._hooks.boot()
        await until_answered(self._register, "registering the worker")
        card, where = self.card, self._platform.description
        isolates = card.isolates or not registry.tasks()
        announce(WorkerStarted(card.id, card.name, where, card.concurrency, _names(registry), isolates))
        self._ready.set()

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._intake.run(self._stop),
            self._lost_runs.end_taken(),
            self._deliveries(),
            self._wear_watch.run(self._stop),
            self._lost_runs.end_cut_off(self.card.id),
        ]

    def _listen_with(self, serving: Serving) -> Listening:
        return Listening(
            self._platform,
            serving.registry.listeners(),
            self._settings.concurrency,
            lambda: self.draining or self._intake.serving is not serving,
        )

    async def _deliveries(self) -> None:
        """Deliver events to the current handlers, and to the next set after each reload."""
        while not self.draining:
            self._reloaded.clear()
            listening = self._listening
            if listening.wanted:
                await listening.run(self.card.id)
            elif listening is self._listening:
                await self._reloaded.wait()

    async def _let_go(self, hooks: Hooks, listening: Listening, runs: list[asyncio.Task[None]]) -> None:
        """Run the shutdown hooks of replaced handlers, once none of their runs and deliveries are left."""
        if runs:
            await asyncio.wait(runs)
        await listening.idle()
        listening.close()
        await hooks.shut_down(self._settings.drain_seconds)

    async def _until_stopped(self, loops: list[asyncio.Task[None]]) -> None:
        """Wait for ``stop``; an exception in one of the loops stops the worker and is raised."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done() and not self.draining:
                    loop.result()
        finally:
            stopped.cancel()
            self._stop.set()

    def _pools(self) -> list[Threads]:
        listening = [pool for each in (self._listening, *self._former.values()) for pool in each.threads]
        loops = [self._threads] if self._threads is not None else []
        return [self._caller.threads, *listening, *loops, MODEL_CALLS]

    async def _drain(self, loops: list[asyncio.Task[None]]) -> None:
        """Stop claiming, let running tasks finish, hand back the rest.

        One deadline applies to all of this: WORKER_DRAIN_SECONDS, 24 by default, since Heroku kills a process after 30.
        """
        deadline = time.monotonic() + self._settings.drain_seconds
        self._leave_by = deadline + self._timings.hand_back
        announce(WorkerDraining(self.card.id, len(self._runs), self._settings.drain_seconds))
        self._intake.isolation.drain()
        self._platform.work.nudge()
        self._runs.freed.set()
        reporting = asyncio.create_task(self._report_drain())
        intake, lost_runs, *_ = loops
        await asyncio.wait([intake], timeout=PATIENCE)
        await self._wait_for_runs(deadline)
        lost_runs.cancel()
        self._handed_back = await self._hand_back_rest()
        for listening in (self._listening, *self._former.values()):
            await listening.drain(max(0.0, deadline - time.monotonic()))
        for loop in (reporting, *loops):
            loop.cancel()
        await asyncio.gather(reporting, *loops, return_exceptions=True)

    async def _report_drain(self) -> None:
        """Show on the platform that this worker is draining; a failure is ignored."""
        with contextlib.suppress(ModuleException):
            await self._platform.work.drain(self.card.id)

    async def _wait_for_runs(self, deadline: float) -> None:
        hurry = asyncio.create_task(self._stop_now.wait())
        try:
            while self._runs and not hurry.done() and time.monotonic() < deadline:
                await asyncio.wait(
                    [hurry, *self._runs.workers()],
                    timeout=deadline - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            hurry.cancel()

    async def _hand_back_rest(self) -> int:
        """Cancel all remaining runs, which hand themselves back; ``leave`` releases sync runs, which cannot end."""
        rest = self._runs.all()
        for execution in rest:
            execution.cancel(REASON_DRAIN)
        workers = [each.worker for each in rest if each.worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=self._timings.hand_back)
        return len(rest)

    async def _leave(self) -> None:
        """Run the shutdown hooks, then leave the platform, which releases all tasks that are still held."""
        if self._former:
            await asyncio.wait(self._former, timeout=self._timings.hand_back)
        await self._hooks.shut_down(self._hook_seconds)
        if self._is_listed:
            try:
                await self._platform.work.leave(self.card.id)
            except ModuleException as error:  # the worker's lease will expire
                announce(PlatformTrouble(doing="leaving", error=error))
        for each in (self._caller, self._listening, *self._former.values()):
            each.close()
        if self._watch is not None:
            self._watch.stop()
        await bridge.release()
        if self._is_listed:
            announce(WorkerStopped(self.card.id, self._handed_back))

    @property
    def _hook_seconds(self) -> float:
        left = 0.0 if self._stop_now.is_set() else self._leave_by - time.monotonic()
        return max(self._timings.hooks, left)

    _handed_back = 0
    _is_listed = False
    _leave_by = 0.0  # when hooks should have ended, as a value of time.monotonic()


def _names(registry: Registry) -> tuple[str, ...]:
    return tuple(handler.name for handler in registry.handlers)
