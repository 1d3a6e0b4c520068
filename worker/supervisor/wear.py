"""What wears a worker out: threads that hang, memory that grows, or as many tasks as it was given. Then it leaves."""

import resource
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from worker.settings import Settings
from worker.threads import ThreadCall, Threads
from worker.words.work import MOST_TROUBLES, TROUBLE_CHARACTERS, WorkerWear

RECENT_TASKS = 5  # that are shown with a worker
_OWN = Path(__file__).resolve().parents[1]
_STATM = Path("/proc/self/statm")


class Wear:
    """Of one worker.

    Args:
        settings: Its limits.
        pools: Its pools of threads.
        held: What has held its event loop lately.
    """

    def __init__(
        self, settings: Settings, pools: Callable[[], Iterable[Threads]], held: Callable[[], Iterable[str]]
    ) -> None:
        self._settings = settings
        self._pools = pools
        self._held = held
        self.tasks = 0
        """How many runs have ended."""
        self._recent: deque[str] = deque(maxlen=RECENT_TASKS)

    def ended(self, task_id: str) -> None:
        """Count a run that has ended."""
        self.tasks += 1
        self._recent.appendleft(task_id)

    def hung(self) -> list[ThreadCall]:
        """What threads still do though nobody waits for it any more."""
        return [call for pool in self._pools() for call in pool.hung()]

    def wear(self) -> WorkerWear:
        """As it is shown with the worker."""
        hung = self.hung()
        places = Counter(_place_of(each) for each in hung)
        told = [f"{where} hangs" + (f" {number} times" if number > 1 else "") for where, number in places.items()]
        troubles = [each[:TROUBLE_CHARACTERS] for each in (*told, *self._held())]
        recent = tuple(dict.fromkeys(self._recent))
        return WorkerWear(len(hung), memory(), self.tasks, recent, tuple(troubles[:MOST_TROUBLES]))

    @property
    def is_worn_out(self) -> bool:
        """Whether it leaves by a fault, not by plan: whoever starts it again may want to know."""
        return len(self.hung()) > self._settings.hung_threads

    def reason(self) -> str | None:
        """Why the worker should leave; None means it should not."""
        settings, hung = self._settings, self.hung()
        if len(hung) > settings.hung_threads:
            return f"{len(hung)} threads hang, which is more than WORKER_HUNG_THREADS={settings.hung_threads}"
        if settings.max_tasks is not None and self.tasks >= settings.max_tasks:
            return f"it has done {self.tasks} tasks, as WORKER_MAX_TASKS wants"
        used = memory() if settings.max_memory is not None else 0
        if settings.max_memory is not None and used > settings.max_memory:
            return f"it uses {used / 2**20:.0f} MiB of memory, which is more than WORKER_MAX_MEMORY"
        return None


def _place_of(call: ThreadCall) -> str:
    """Where the code of a thread stands: the innermost line of the user's."""
    frame = sys._current_frames().get(call.thread or 0)  # noqa: SLF001 - the way that its documentation names
    lines: list[str] = []
    with suppress(Exception):  # it goes on meanwhile: what is read of it may be anything
        frames = traceback.walk_stack(frame) if frame is not None else ()
        lines = [place(each.f_code.co_filename, line, each.f_code.co_name) for each, line in frames]
    return next((each for each in lines if each), "a thread")


def place(filename: str, line: int, name: str) -> str:
    """A line of code as it is shown; empty where it is Python's, a library's or this package's own."""
    path = Path(filename)
    if "<" in filename or _OWN in path.parents or any(part in ("site-packages", "lib") for part in path.parts):
        return ""
    return f"{'/'.join(path.parts[-2:])}:{line} in {name}"


def memory() -> int:
    """Bytes of memory that this process uses: its resident set; where the system does not say, the most it has used."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024  # bytes on macOS, else KiB
