"""Every way in which a user's code may leave, as handlers of a worker: a copy of this module is their module.

The task's text is ``place/way``; the agent says whether the code is async. A way is a plain function, which the code in
that place calls; what a way answers is the code's answer.
"""

import asyncio
import builtins
import gc
import inspect
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from worker import Context, Task, TaskUpdateEventType, on, on_task, run_agent

Way = Callable[[], Any]

TIMEOUT = 2.0  # seconds of a handler that hangs
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "UnicodeDecodeError": ("utf-8", b"x", 0, 1, "no reason"),
    "UnicodeEncodeError": ("utf-8", "x", 0, 1, "no reason"),
    "UnicodeTranslateError": ("x", 0, 1, "no reason"),
    "ExceptionGroup": ("several", [ValueError("one"), KeyError("two")]),
    "BaseExceptionGroup": ("several", [ValueError("one"), SystemExit(2)]),
}
LANGUAGE = {
    name: kind
    for name, kind in vars(builtins).items()
    if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__name__ == name
}


class Panic(BaseException):
    """As pyo3, func_timeout and gevent have one."""


class Unspeakable(Exception):  # noqa: N818, PLW1641 - its ``__hash__`` is below
    """Whatever it is asked, it raises."""

    def __str__(self) -> str:
        raise Panic("no text")

    __repr__ = __hash__ = __str__  # type: ignore[assignment]

    @property
    def status_code(self) -> int:
        raise SystemExit(9)

    @property
    def response(self) -> Any:
        raise RuntimeError("there is no response")

    def __eq__(self, other: object) -> bool:
        raise Panic("not comparable")

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Odd:
    """A value that can be neither copied, compared nor printed."""

    def __deepcopy__(self, memory: object) -> "Odd":
        raise Panic("not copied")

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    def __repr__(self) -> str:
        raise Panic("not printed")

    __str__ = __repr__
    __hash__ = object.__hash__


def raising(error: Callable[[], BaseException]) -> Callable[..., Any]:
    def leave(*_: Any, **__: Any) -> None:
        raise error()

    return leave


def of_language(name: str, *, grouped: bool) -> Way:
    def make() -> BaseException:
        error = LANGUAGE[name](*ARGUMENTS.get(name, ("as the language has it",)))
        return BaseExceptionGroup("a group", [error]) if grouped else error

    return raising(make)


def in_circles() -> None:
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    raise one


def from_a_thread() -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            sys.exit(4)
        except SystemExit as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    raise raised[0]


def recursion() -> int:
    return recursion() + 1


def forked() -> str:
    """Leave a forked process to return from here, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        return "from the child"
    assert os.waitpid(child, 0)[1] == 0, "the child went on with its parent's work"
    return "from the parent"


def terminated_child() -> str:
    """Terminate a forked child, as a pool's timeout does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
        child.start()
    child.terminate()
    child.join()
    assert child.exitcode == -signal.SIGTERM
    return "terminated"


def closed_output() -> None:
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as a library does it
    sys.stdout.close()
    logging.disable()
    raise ValueError("nobody can print this")


def stop_the_loop() -> str:
    try:
        asyncio.get_running_loop().stop()
    except RuntimeError:
        return "there is no loop here"
    return "stopped it"


def takes_signals() -> str:
    """As a server within a process does, and a library that wants no Ctrl-C."""
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
    except (RuntimeError, ValueError):
        return "there is no loop here, or it is not the main thread's"
    return "took them"


def replaces_parts_of_the_loop() -> str:
    """As a library does that makes tasks of its own kind, and brings an executor of its own."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "there is no loop here"
    loop.set_task_factory(raising(lambda: Panic("no tasks any more")))
    loop.set_default_executor(ThreadPoolExecutor(1))
    loop.run_in_executor(None, time.sleep, 5)
    vars(loop)["_default_executor"].shutdown(wait=False)
    return "replaced them"


def raises_on_signals() -> str:
    """As a library does that ends what takes too long; its timer goes on."""
    try:
        signal.signal(signal.SIGVTALRM, raising(lambda: Panic("too long")))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.01, 0.01)
    except ValueError:
        return "this is not the main thread"
    return "set it"


def cancel_itself() -> str:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is not None:
        task.cancel()
    return "was cancelled"


async def cancel_all() -> str:
    """As many programs do when they end."""
    tasks = asyncio.all_tasks()
    for each in tasks:
        each.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()
    return f"cancelled {len(tasks)}"


def endless_tuple() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


def generator() -> Iterator[Any]:
    yield "one "
    raise Panic("half-way")


async def coroutine() -> None:
    raise Panic("awaited after all")


async def stream() -> AsyncIterator[Any]:
    yield "one "
    sys.exit(3)


HANGS = {"hangs"}
"""Ways that never end by themselves."""

WAYS: dict[str, Way] = {
    **{name: of_language(name, grouped=False) for name in LANGUAGE},
    **{f"group of {name}": of_language(name, grouped=True) for name in LANGUAGE},
    "panic": raising(lambda: Panic("a panic")),
    "unspeakable": raising(Unspeakable),
    "group of unspeakable": raising(lambda: ExceptionGroup("g", [Unspeakable(), Unspeakable()])),
    "in circles": in_circles,
    "huge message": raising(lambda: ValueError("x" * 5_000_000)),
    "broken text": raising(lambda: ValueError("half \ud83d and \0")),
    "cancelled": raising(asyncio.CancelledError),
    "timed out": raising(asyncio.TimeoutError),
    "exit": lambda: sys.exit(0),
    "exit with text": lambda: sys.exit("the configuration is missing"),
    "exit with object": lambda: sys.exit(Odd()),  # type: ignore[arg-type]
    "exit of a thread": from_a_thread,
    "end of an iterator": lambda: next(iter([])),
    "recursion": recursion,
    "forks": forked,
    "terminates a child": terminated_child,
    "closes the output": closed_output,
    "stops the loop": stop_the_loop,
    "cancels itself": cancel_itself,
    "cancels all": cancel_all,
    "takes signals": takes_signals,
    "replaces parts of the loop": replaces_parts_of_the_loop,
    "raises on signals": raises_on_signals,
    "hangs": lambda: time.sleep(8),
    "lock": threading.Lock,
    "odd": Odd,
    "odd within": lambda: {"odd": [Odd()]},
    "contains itself": endless_tuple,
    "a type": lambda: int,
    "a function": lambda: print,
    "bytes": lambda: b"\xff",
    "module": lambda: gc,
    "generator": generator,
    "coroutine": coroutine,
    "stream": stream,
}


def way_of(task: Task) -> Way:
    return WAYS[str(task.input.text).partition("/")[2]]


async def answered(way: Way) -> Any:
    if way is WAYS["hangs"]:
        await asyncio.sleep(60)
    return way()


@on_task(agent_id="async", retries=1, timeout=TIMEOUT)
async def coming(task: Task, context: Context) -> Any:
    way, place = way_of(task), str(task.input.text).partition("/")[0]
    match place:
        case "handler":
            return await answered(way)
        case "result":
            task.result = way()
            return task
        case "step":
            return await context.step("leave", answered, way)
        case "task":
            return await asyncio.create_task(answered(way))
        case "thread":
            return await asyncio.to_thread(way)
        case _:
            return await run_agent(agent(place, way, is_async=True), task)


@on_task(agent_id="async-stream", retries=1, timeout=TIMEOUT)
async def flowing(task: Task) -> AsyncIterator[Any]:
    yield "one "
    yield await answered(way_of(task))


@on_task(agent_id="sync-stream", retries=1, timeout=TIMEOUT)
def dripping(task: Task) -> Iterator[Any]:
    yield "one "
    yield way_of(task)()


@on_task(agent_id="sync", retries=1, timeout=TIMEOUT)
def plain(task: Task, context: Context) -> Any:
    way, place = way_of(task), str(task.input.text).partition("/")[0]
    match place:
        case "handler":
            return way()
        case "result":
            task.result = way()
            return task
        case "step":
            return context.step_sync("leave", way)
        case _:
            from worker import run_agent_sync

            return run_agent_sync(agent(place, way, is_async=False), task)


def agent(place: str, way: Way, *, is_async: bool) -> Any:
    """An agent, or a workflow, with one piece of code that leaves so."""
    from agno.agent import Agent
    from agno.workflow import Step, Workflow

    from worker.testing import Call, ScriptedModel

    async def leave_async() -> Any:
        """Leave."""
        return await answered(way)

    def leave() -> Any:
        """Leave."""
        return way()

    async def flow_async() -> AsyncIterator[Any]:
        """Leave."""
        yield "one "
        yield await answered(way)

    def flow() -> Iterator[Any]:
        """Leave."""
        yield "one "
        yield way()

    async def take_async(*_: Any, **__: Any) -> Any:
        return await answered(way)

    def take(*_: Any, **__: Any) -> Any:
        return way()

    def called(tool: Any, **options: Any) -> Any:
        return Agent(id="leaver", model=ScriptedModel([Call(tool.__name__, {}), "done"]), tools=[tool], **options)

    def unused() -> str:
        """Do nothing."""
        return "nothing"

    code = take_async if is_async else take
    made: dict[str, Callable[[], Any]] = {
        "tool": lambda: called(leave_async if is_async else leave),
        "tool stream": lambda: called(flow_async if is_async else flow),
        "tool hook": lambda: called(unused, tool_hooks=[code]),
        "function": lambda: Workflow(id="leaver", name="leaver", steps=[Step(name="leave", executor=code)]),
        "instructions": lambda: Agent(id="leaver", model=ScriptedModel(["done"]), instructions=code),
        "post_hook": lambda: Agent(id="leaver", model=ScriptedModel(["done"]), post_hooks=[code]),
        "hook": lambda: Agent(id="leaver", model=ScriptedModel(["done"]), pre_hooks=[code]),
    }
    return made[place]()


@on_task(agent_id="told")
async def told(task: Task) -> str:
    return "told"


@on(TaskUpdateEventType.TaskFinished, agent_id="told", retries=1, timeout=TIMEOUT)
async def told_async(task: Task) -> Any:
    return await answered(way_of(task))


@on(TaskUpdateEventType.TaskFinished, agent_id="told", retries=1, timeout=TIMEOUT)
def told_sync(task: Task) -> Any:
    return way_of(task)()


@on_task(agent_id="neighbour")
async def neighbour(task: Task) -> str:
    await asyncio.to_thread(time.sleep, 0.3)  # it runs while the others leave, and needs the loop and its threads
    return "fine"
