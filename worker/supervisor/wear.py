"""Wear of a worker that makes it leave: hung threads, or growing memory."""

import resource
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from worker.settings import Settings
from worker.supervisor.timings import WorkerTimings
from worker.threads import ThreadCall, Threads
from worker.words.work import MAX_TROUBLES, TROUBLE_CHARACTERS, WorkerWear

RECENT_TASKS = 5  # tasks that are shown with a worker
_OWN = Path(__file__).resolve().parents[1]
_STATM = Path("/proc/self/statm")


class Wear:
    """The wear of one worker.

    Args:
        settings: The limits.
        pools: Returns the worker's thread pools.
        blocks: Returns descriptions of recent blocks of the event loop.
        timings: When a thread counts as hung.
    """

    def __init__(
        self,
        settings: Settings,
        pools: Callable[[], Iterable[Threads]],
        blocks: Callable[[], Iterable[str]],
        timings: WorkerTimings,
    ) -> None:
        self._settings = settings
        self._pools = pools
        self._blocks = blocks
        self._hung_seconds = timings.hung
        self.tasks = 0
        """The number of runs that have ended."""
        self._recent: deque[str] = deque(maxlen=RECENT_TASKS)

    def ended(self, task_id: str) -> None:
        """Count a run that has ended."""
        self.tasks += 1
        self._recent.appendleft(task_id)

    def hung(self) -> list[ThreadCall]:
        """Return the calls that still run in threads although their runs have ended."""
        return [call for pool in self._pools() for call in pool.hung(self._hung_seconds)]

    def wear(self) -> WorkerWear:
        """Return the wear to report to the platform."""
        hung = self.hung()
        places = Counter(_place_of(each) for each in hung)
        described = [f"{where} hangs" + (f" {number} times" if number > 1 else "") for where, number in places.items()]
        troubles = [each[:TROUBLE_CHARACTERS] for each in (*described, *self._blocks())]
        recent = tuple(dict.fromkeys(self._recent))
        return WorkerWear(len(hung), memory(), self.tasks, recent, tuple(troubles[:MAX_TROUBLES]))

    @property
    def is_worn_out(self) -> bool:
        """Whether the worker leaves because of a fault (hung threads), which its exit code reports."""
        return len(self.hung()) > self._settings.hung_threads

    def reason(self) -> str | None:
        """Return the reason why the worker should leave, or None."""
        settings, hung = self._settings, self.hung()
        if len(hung) > settings.hung_threads:
            return f"{len(hung)} threads are hung, which exceeds WORKER_HUNG_THREADS={settings.hung_threads}"
        used = memory() if settings.max_memory is not None else 0
        if settings.max_memory is not None and used > settings.max_memory:
            return f"the worker uses {used / 2**20:.0f} MiB of memory, which exceeds WORKER_MAX_MEMORY"
        return None


def _place_of(call: ThreadCall) -> str:
    """Return the innermost line of user code that a thread is running."""
    frame = sys._current_frames().get(call.thread or 0)  # noqa: SLF001 - a documented function
    lines: list[str] = []
    with suppress(Exception):  # the thread keeps running, so reading its stack may fail
        frames = traceback.walk_stack(frame) if frame is not None else ()
        lines = [place(each.f_code.co_filename, line, each.f_code.co_name) for each, line in frames]
    return next((each for each in lines if each), "a thread")


def place(filename: str, line: int, name: str) -> str:
    """Return a short description of a line of code; empty if it belongs to Python, a library or this package."""
    path = Path(filename)
    if "<" in filename or _OWN in path.parents or any(part in ("site-packages", "lib") for part in path.parts):
        return ""
    return f"{'/'.join(path.parts[-2:])}:{line} in {name}"


def memory() -> int:
    """Return this process's resident memory in bytes; its peak if the system does not report the current value."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024  # bytes on macOS, KiB elsewhere
