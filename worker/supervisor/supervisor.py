"""The supervisor: one long-running process that claims, runs, and leaves nothing behind."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Coroutine
from typing import Any

from worker import threads
from worker.contracts import Platform
from worker.contracts.waiting import SOON, within
from worker.current import REASON_CUT_OFF, REASON_DRAIN
from worker.face import bridge
from worker.registry import Handler, Registry
from worker.settings import Settings
from worker.supervisor import signals
from worker.supervisor.calls import Caller
from worker.supervisor.executor import Execution, Executor
from worker.supervisor.hooks import Hooks
from worker.supervisor.isolation import Isolation
from worker.supervisor.listening import Listening
from worker.supervisor.operations import doing
from worker.supervisor.serving import Serving
from worker.supervisor.standstill import Standstill
from worker.supervisor.verdict import REASON_LOST
from worker.supervisor.watch import LoopWatch
from worker.supervisor.wear import Wear
from worker.threads import MODEL_CALLS, Threads
from worker.words.errors import ConfigurationError, ModuleException, Unavailable
from worker.words.notices import (
    HandlersReloaded,
    PlatformTrouble,
    TaskTaken,
    WorkerCutOff,
    WorkerDraining,
    WorkerStarted,
    WorkerStopped,
    WorkerWorn,
    announce,
)
from worker.words.work import Assignment, Demand, WorkerCard

PATIENCE = 5.0  # seconds that one wait for assignments lasts; a nudge ends it early
LOOK_AT_WEAR_SECONDS = 1.0
TELL_SECONDS = 10.0  # between two words of how worn the worker is
LOOK_FOR_CUT_OFF_SECONDS = 0.25
LOOK_SECONDS = 5.0  # how often the worker asks what it has lost, should a hint not have come
HOOK_SECONDS = 1.5  # what shutdown hooks get at the least, when the runs have used up all the time
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
        self._settings = settings
        self._serving = self._asking = Serving(registry, settings)
        self._hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
        self._caller = Caller(settings.concurrency)
        self._executor = Executor(platform, self._caller, lambda: self.draining, self._handled)
        self._isolation = Isolation(platform, settings, self.card.name, lambda: self.draining, self._handled)
        self._listening = self._listen_with(self._serving)
        self._former: dict[asyncio.Task[None], Listening] = {}  # what is leaving after a reload, until its runs end
        self._reloaded = asyncio.Event()
        self._running: dict[tuple[str, int], Execution] = {}
        self._busy: Counter[tuple[str, str | None]] = Counter()  # handlers at work, which is less than what is in hand
        self._freed = asyncio.Event()
        self._stop = asyncio.Event()
        self._told = False  # to leave, as known at once: the loop may first hear what the same signal did to a child
        self._ready = asyncio.Event()
        self._hurry = asyncio.Event()
        self._look = asyncio.Event()
        self._threads: Threads | None = None
        self._wear = Wear(settings, self._pools, lambda: self._watch.held() if self._watch is not None else [])
        self.is_worn_out = False
        """Whether it has left since threads of it hang."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: LoopWatch | None = None

    @property
    def card(self) -> WorkerCard:
        """The worker as it introduces itself."""
        return self._serving.card

    @property
    def draining(self) -> bool:
        """Whether it claims nothing more."""
        return self._told or self._stop.is_set()

    @property
    def running(self) -> int:
        """How many tasks it has in hand."""
        return len(self._running)

    @property
    def loop_lag(self) -> float:
        """Seconds that the event loop took last to do what it was asked; it grows while a handler blocks it."""
        return self._watch.lag if self._watch is not None else 0.0

    async def run(self) -> None:
        """Work until ``stop``: boot, claim and run, drain, leave."""
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
        """Wait until it claims."""
        await self._ready.wait()

    def stop(self) -> None:
        """Have it drain and leave; safe from any thread and signal handler; a second call changes nothing."""
        self._told = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has left
                self._loop.call_soon_threadsafe(self._stop.set)
        else:
            self._stop.set()

    def hurry(self) -> None:
        """Have it leave now: what runs is handed back at once."""
        self.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hurry.set)

    async def reload(self, registry: Registry) -> None:
        """Serve other handlers from now on; what runs finishes with those it began with.

        The new boot hooks run first; the old shutdown hooks once the last old run has ended.

        Args:
            registry: The handlers, checked.

        Raises:
            ModuleException: The platform cannot take them now; the old ones are served on.
            Exception: What a boot hook raised; the same.
        """
        new = Serving(registry, self._settings, self.card.id)
        hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
        try:
            await hooks.boot()
            await self._platform.work.register(new.card)
        except BaseException:
            await hooks.shut_down(HOOK_SECONDS)
            raise
        former, self._hooks = self._hooks, hooks
        listening, self._listening = self._listening, self._listen_with(new)
        self._serving = new
        runs = [each.worker for each in self._running.values() if each.worker is not None]
        leaving = asyncio.create_task(self._let_go(former, listening, runs), name="handlers before a reload")
        self._former[leaving] = listening
        leaving.add_done_callback(lambda done: self._former.pop(done, None))
        self._reloaded.set()
        self._freed.set()
        self._platform.work.nudge()
        announce(HandlersReloaded(self.card.id, _names(registry)))

    async def _unless_stopped(self, boot: Coroutine[Any, Any, None]) -> bool:
        """Start, unless it should stop before: nothing has been claimed yet. Returns: whether it has started."""
        starting, stopped = asyncio.create_task(boot, name="boot"), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            return starting.done()
        finally:
            starting.cancel()
            stopped.cancel()
            await asyncio.wait([starting, stopped], timeout=HOOK_SECONDS)

    async def _boot(self) -> None:
        loop = asyncio.get_running_loop()
        self._threads = threads.serve(loop, self._settings.concurrency)
        self._watch = LoopWatch(loop)
        self._watch.start()
        bridge.adopt(loop, self._platform)
        registry = self._serving.registry
        await self._hooks.boot()
        self._is_listed = True  # as far as is known: it may be cancelled half-way
        try:
            await self._platform.work.register(self.card)
        except Unavailable:
            self._is_listed = False
            raise
        card, where = self.card, self._platform.description
        isolates = card.isolates or not registry.tasks()
        announce(WorkerStarted(card.id, card.name, where, card.concurrency, _names(registry), isolates))
        self._ready.set()

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._intake(),
            self._look_for_lost(),
            self._deliveries(),
            self._look_at_wear(),
            self._look_for_cut_off(),
        ]

    def _listen_with(self, serving: Serving) -> Listening:
        return Listening(
            self._platform,
            serving.registry.listeners(),
            self._settings.concurrency,
            lambda: self.draining or self._serving is not serving,
        )

    async def _deliveries(self) -> None:
        """Deliver events to the handlers that there are, one set after another."""
        while not self.draining:
            self._reloaded.clear()
            listening = self._listening
            if listening.wanted:
                await listening.run(self.card.id)
            elif listening is self._listening:
                await self._reloaded.wait()

    async def _let_go(self, hooks: Hooks, listening: Listening, runs: list[asyncio.Task[None]]) -> None:
        """Run the shutdown hooks of handlers that were replaced, once nothing of theirs runs."""
        if runs:
            await asyncio.wait(runs)
        await listening.idle()
        listening.close()
        await hooks.shut_down(self._settings.drain_seconds)

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
        pauses = SOON.pauses()
        while not self.draining:
            if self._places() <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                claimed = await self._platform.work.assignments(self.card.id, self._demand, PATIENCE)
                pauses.reset()
            except ConfigurationError:
                raise  # the platform refuses this worker for good: asking again would only hide it
            except ModuleException as error:
                seconds = pauses.next()
                announce(PlatformTrouble(doing="asking for tasks", error=error, again_in=seconds))
                await within(self._stop, seconds)
                continue
            for assignment in claimed:
                self._start(assignment)

    def _pools(self) -> list[Threads]:
        listening = [pool for each in (self._listening, *self._former.values()) for pool in each.threads]
        loops = [self._threads] if self._threads is not None else []
        return [self._caller.threads, *listening, *loops, MODEL_CALLS]

    def _places(self) -> int:
        """How many more handlers may start; results still to be written count once they are as many again."""
        concurrency = self._settings.concurrency
        return min(concurrency - self._busy.total(), 2 * concurrency - len(self._running))

    def _demand(self) -> Demand:
        self._asking = self._serving
        free = 0 if self.draining else max(0, self._places())
        return self._serving.demand(free, self._busy, self._isolation.free)

    def _start(self, assignment: Assignment) -> None:
        agent = assignment.task.agent_id  # claimed for handlers that were replaced in between: those still do it
        handler = self._serving.handler_for(agent) or self._asking.handler_for(agent)
        if handler is None:  # the demand names served agents alone
            raise RuntimeError(f"no handler serves agent {assignment.task.agent_id!r}")
        handler = doing(assignment.task, handler)
        execution = self._executor.prepare(assignment, handler)
        key = (assignment.task.id, assignment.attempt)
        self._running[key] = execution
        self._busy[handler.key] += 1
        folder = self._serving.registry.folder
        if folder is not None and self.card.isolates and self._isolation.wants(assignment):
            execution.worker = self._isolation.start(execution, folder)
        else:
            execution.worker = asyncio.create_task(self._executor.execute(execution), name=f"task {assignment.task.id}")
        execution.worker.add_done_callback(lambda done: self._ended(key, execution, done))

    def _handled(self, handler: Handler) -> None:
        self._busy[handler.key] -= 1
        self._freed.set()
        if handler.concurrency is not None:
            self._platform.work.nudge()  # its own limit has room again, which a wait for other agents does not see

    def _ended(self, key: tuple[str, int], execution: Execution, done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            announce(PlatformTrouble(doing="carrying out a task", error=error, again_in=0.0))
        if not execution.is_settled and not execution.is_apart and not self.draining:
            execution.worker = asyncio.create_task(self._executor.settle(execution, error), name=f"end of {key[0]}")
            execution.worker.add_done_callback(lambda done: self._ended(key, execution, done))
            return
        self._running.pop(key, None)
        self._wear.ended(key[0])
        self._freed.set()

    async def _look_for_lost(self) -> None:
        """End runs whose attempt owns its task no longer: stopped, taken, or gone."""
        end_listening = self._platform.work.on_change(self._changed)
        try:
            while True:
                self._look.clear()
                await self._end_lost()
                await within(self._look, LOOK_SECONDS)
        finally:
            end_listening()

    async def _look_for_cut_off(self) -> None:
        """End runs that were held when the lease ran out by this process's own clock; the platform need not be asked.

        Each hands itself back once the platform answers again, which is refused where it was taken.
        """
        while True:
            held = dict(self._running.keys())
            cut = [self._running[task_id, held[task_id]] for task_id in self._platform.work.cut_off(held)]
            runs = [each for each in cut if not each.writing and not each.run.stopping]
            if runs:
                announce(WorkerCutOff(self.card.id, len(runs)))
            for execution in runs:
                execution.cancel(REASON_CUT_OFF)
            await asyncio.sleep(LOOK_FOR_CUT_OFF_SECONDS)

    async def _look_at_wear(self) -> None:
        """Leave once worn out; whoever started this worker starts another."""
        standstill = Standstill(self.card.id)
        while (reason := self._wear.reason()) is None:
            await within(self._stop, LOOK_AT_WEAR_SECONDS)
            runs = [each.run for each in self._running.values() if not each.writing]
            standstill.look(runs, is_full=self._places() <= 0)
            signals.keep()
            await self._tell_of_wear()
            if self.draining:
                return
        self.is_worn_out = self._wear.is_worn_out
        announce(WorkerWorn(self.card.id, reason, self.is_worn_out))
        self._stop.set()

    async def _tell_of_wear(self) -> None:
        """Have it shown with the worker: soon where threads hang, else every ten seconds."""
        wear, now = self._wear.wear(), time.monotonic()
        if now < self._tells_next and wear.hung_threads == self._told_hung:
            return
        self._tells_next, self._told_hung = now + TELL_SECONDS, wear.hung_threads
        with contextlib.suppress(ModuleException):  # said again in time
            await self._platform.work.report(self.card.id, wear)

    def _changed(self, task_ids: Collection[str]) -> None:
        changed = [each for (task_id, _), each in self._running.items() if task_id in task_ids]
        for execution in changed:
            execution.run.inbox.waits = True  # somebody may have said something to it
        if changed:
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
                if not execution.is_apart:  # a child says so itself, unless it was its own last word that ended it
                    announce(TaskTaken(task_id, execution.task.agent_id, execution.attempt, str(status)))
                execution.cancel(REASON_LOST)

    async def _drain(self, loops: list[asyncio.Task[None]]) -> None:
        """Claim nothing more, let what runs finish, hand back the rest.

        One deadline over all of it: WORKER_DRAIN_SECONDS, 24 by default, since Heroku kills at 30.
        """
        deadline = time.monotonic() + self._settings.drain_seconds
        self._leave_by = deadline + HAND_BACK_SECONDS
        announce(WorkerDraining(self.card.id, len(self._running), self._settings.drain_seconds))
        self._isolation.drain()
        self._platform.work.nudge()
        self._freed.set()
        telling = asyncio.create_task(self._tell_of_drain())
        intake, lookout, *_ = loops
        await asyncio.wait([intake], timeout=PATIENCE)
        await self._wait_for_runs(deadline)
        lookout.cancel()
        self._handed_back = await self._hand_back_rest()
        for listening in (self._listening, *self._former.values()):
            await listening.drain(max(0.0, deadline - time.monotonic()))
        for loop in (telling, *loops):
            loop.cancel()
        await asyncio.gather(telling, *loops, return_exceptions=True)

    async def _tell_of_drain(self) -> None:
        """Have it shown that this worker is leaving; where that cannot be said, it leaves all the same."""
        with contextlib.suppress(ModuleException):
            await self._platform.work.drain(self.card.id)

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
        if self._former:
            await asyncio.wait(self._former, timeout=HAND_BACK_SECONDS)
        await self._hooks.shut_down(self._hook_seconds)
        if self._is_listed:
            try:
                await self._platform.work.leave(self.card.id)
            except ModuleException as error:  # its lease runs out by itself
                announce(PlatformTrouble(doing="leaving", error=error, again_in=0.0))
        for each in (self._caller, self._listening, *self._former.values()):
            each.close()
        if self._watch is not None:
            self._watch.stop()
        await bridge.release()
        if self._is_listed:
            announce(WorkerStopped(self.card.id, self._handed_back))

    @property
    def _hook_seconds(self) -> float:
        return HOOK_SECONDS if self._hurry.is_set() else max(HOOK_SECONDS, self._leave_by - time.monotonic())

    _handed_back = 0
    _tells_next = 0.0  # time.monotonic() at which its wear is told again
    _told_hung = 0
    _is_listed = False
    _leave_by = 0.0  # time.monotonic() by which hooks should have ended


def _names(registry: Registry) -> tuple[str, ...]:
    return tuple(handler.name for handler in registry.handlers)
