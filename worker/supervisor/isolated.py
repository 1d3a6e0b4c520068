"""The main module of a child process, which runs one task under the attempt that its worker holds, and exits.

The process is started with a socket to its worker (see ``child_protocol``). It discovers the same folder of handlers,
runs their boot and shutdown hooks, and uses the same platform like a client: the lease belongs to its worker. If its
worker dies, it exits immediately.
"""

import asyncio
import ctypes
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType

import structlog

from worker import discovery, registry, threads, wiring
from worker.contracts import Platform
from worker.face import bridge
from worker.registry import Handler
from worker.settings import Settings
from worker.supervisor import forks
from worker.supervisor.calls import Caller
from worker.supervisor.child_protocol import CANNOT_START, DRAIN, END, PLATFORM_UNAVAILABLE, STARTED, Order, line
from worker.supervisor.executor import Execution, Executor
from worker.supervisor.hooks import Hooks
from worker.supervisor.operations import READER, operation_handler
from worker.supervisor.shared_loop import share
from worker.supervisor.shutdown import run_to_exit
from worker.supervisor.verdict import message
from worker.supervisor.watch import LoopWatch
from worker.telemetry import logs
from worker.words.errors import ConfigurationError, ModuleException, Unavailable
from worker.words.notices import ChildStarted, PlatformTrouble, announce
from worker.words.work import Assignment

DONE, FAILED, ORPHANED = 0, 1, 3
"""Exit codes, besides PLATFORM_UNAVAILABLE. A tool may exit with any of them, so they alone prove nothing."""

THREAD_SECONDS = 1.0  # for a sync handler that was asked to stop
HOOK_SECONDS = 1.5  # for shutdown hooks; the worker kills this process three seconds after asking it to end
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
FIRST_TO_GO = "1000"  # oom_score_adj: if memory is short, the kernel kills this process rather than its worker


def main(descriptor: int) -> None:
    """Run the order that the worker sends over a socket; does not return.

    Args:
        descriptor: The inherited descriptor of the socket.
    """
    os.set_inheritable(descriptor, False)
    link = Link(socket.socket(fileno=descriptor))
    isolated = Isolated(link.order(), link)
    for number in (signal.SIGTERM, signal.SIGINT):  # dynos and terminals signal all processes; the worker decides
        signal.signal(number, isolated.signalled)
    forks.reset_signals_in_forks(signal.SIGTERM, signal.SIGINT)
    _depend_on(isolated.order.parent)
    faulthandler.enable()  # logs the stack of a segmentation fault
    code = FAILED
    try:
        code = isolated.work()
    except BaseException as error:  # noqa: BLE001 - every error is reported to the worker, and ends the process
        isolated.fail(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that still run would delay an ordinary exit


class Link:
    """The socket to the worker."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self.messages = stream.makefile("rb")  # one message per line; ends when the worker exits

    def order(self) -> Order:
        """Read and return the first message, the order."""
        return Order.read(self.messages.readline())

    def say(self, word: str, reason: str | None = None) -> None:
        """Send a message. A worker that has exited ignores it."""
        with suppress(OSError):
            self._stream.sendall(line({"word": word, "reason": reason}))


class Isolated:
    """The one task of this process.

    Args:
        order: The worker's order.
        link: The socket to the worker.
    """

    def __init__(self, order: Order, link: Link) -> None:
        self.order = order
        self._link = link
        self._settings = Settings(**order.settings)
        self._registry = registry.default
        self._execution: Execution | None = None
        self._leaving = False
        self._begun = False

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Note that the worker is probably leaving, so that failures from that moment on are handed back."""
        del frame
        self._leaving |= number == signal.SIGTERM

    def work(self) -> int:
        """Discover the handlers, carry out the order, and return the exit code.

        Raises:
            ConfigurationError: The handlers cannot be imported, or none serves the task.
        """
        logs.configure(self._settings)
        announce(ChildStarted(self.order.worker, self.order.task_id))
        discovery.discover(Path(self.order.folder))
        return run_to_exit(self._work(), failed=self.fail)

    def fail(self, error: BaseException) -> None:
        """Report to the worker why the task could not begin, and log the error."""
        reason = message(error) if isinstance(error, ModuleException) else f"{type(error).__name__}: {message(error)}"
        if not self._begun:
            self._link.say(CANNOT_START, reason)
        trace = {} if isinstance(error, ModuleException) else {"exc_info": error}
        structlog.get_logger("worker").error("the child process failed", reason=reason, **trace)

    async def _work(self) -> int:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), name="worker link", daemon=True).start()
        LoopWatch(loop).start()
        threads.serve(loop, 1)
        share(loop)
        platform = wiring.choose(self._settings)
        try:
            await platform.open()
            platform.work.take_over(self.order.session)
            task = await platform.tasks.get(self.order.task_id)
            if await platform.work.lost({task.id: self.order.attempt}):
                return DONE  # the task was stopped while this process was starting
            handler = READER if task.agent_id == READER.agent_id else self._registry.handler_for(task.agent_id)
            if handler is None:
                raise ConfigurationError(f"no handler in {self.order.folder} serves agent {task.agent_id!r}")
            bridge.adopt(loop, platform)
            whole = task.model_copy(update=self.order.secrets)
            await self._run(platform, Assignment(whole, self.order.attempt), operation_handler(whole, handler))
        except Unavailable as error:
            announce(PlatformTrouble(doing="connecting to the platform from a child process", error=error))
            return PLATFORM_UNAVAILABLE
        finally:
            await bridge.release()
            await platform.close()
        return DONE

    async def _run(self, platform: Platform, assignment: Assignment, handler: Handler) -> None:
        hooks = Hooks(self._registry.boot_hooks, self._registry.shutdown_hooks)
        try:
            await hooks.boot()
            caller = Caller(1)
            executor = Executor(platform, caller, lambda: self._leaving, lambda _: None)
            execution = self._execution = executor.prepare(assignment, handler)
            self._begun = True
            self._link.say(STARTED)
            execution.worker = asyncio.create_task(executor.execute(execution), name=f"task {execution.task.id}")
            await execution.worker
            await caller.idle(THREAD_SECONDS)
        finally:
            await hooks.shut_down(HOOK_SECONDS)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Receive messages in a thread, which notices the worker's exit even while the loop is blocked."""
        with suppress(OSError):
            for text in self._link.messages:
                order = json.loads(text)
                loop.call_soon_threadsafe(self._obey, order["word"], order["reason"])
        os._exit(ORPHANED)

    def _obey(self, word: str, reason: str) -> None:
        self._leaving |= word == DRAIN
        if word == END and self._execution is not None:
            self._execution.cancel(reason)
        elif word == END:
            os._exit(DONE)  # the task has not begun yet


def _depend_on(parent: int) -> None:
    """Make the kernel kill this process when its parent dies, and before its parent if memory is short."""
    with suppress(OSError, AttributeError):  # only on Linux; elsewhere the closed socket has to suffice
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    if os.getppid() != parent:  # the parent died before this took effect
        os._exit(ORPHANED)
