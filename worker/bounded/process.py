"""A child process from its parent's side. All calls block; one thread uses it at a time."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from worker.bounded import bounds as frames
from worker.bounded.bounds import Bounds, Refused, countdown, receive, send
from worker.bounded.errors import AnswerTooLarge, BoundedError, Crashed, NotStarted, OutOfMemory, TimeUp

START_SECONDS = 60.0  # for Python to start, or to import a job's modules, on a heavily loaded machine
START = "import sys; sys.path[:] = {paths!r}; from worker.bounded.child import main; main()"
NEEDED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")
"""The environment variables passed to a child: the paths of libraries, but no secret."""

ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Child:
    """A process that runs jobs.

    Raises:
        NotStarted: The system has no processes, memory or descriptors left.
    """

    def __init__(self) -> None:
        try:
            self._stream, theirs = socket.socketpair()
        except OSError as error:
            raise NotStarted(str(error)) from error
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - this Python, with this package's own code
                    [sys.executable, "-c", START.format(paths=sys.path)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,  # messages of libraries may quote the document
                    stderr=subprocess.DEVNULL,
                    env={**{name: os.environ[name] for name in NEEDED if name in os.environ}, **ONE_THREAD},
                )
        except OSError as error:
            self._stream.close()
            raise NotStarted(str(error)) from error
        self._is_ready = False
        self._is_fit = True
        self._is_killed = False  # a kill may arrive after the answer, but before the job is detached

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_fit(self) -> bool:
        """Whether the process may run another job."""
        return self._is_fit and not self._is_killed

    def run(self, module: str, name: str, arguments: tuple[Any, ...], bounds: Bounds) -> tuple[bytes, bytes]:
        """Call a function in the process and return the kind of its answer and the encoded answer.

        Raises:
            Refused: The function refused the data.
            BoundedError: There is no answer.
        """
        self._is_fit = False
        try:
            kind, content = self._exchange(module, name, arguments, bounds)
        except BaseException:
            self.close()
            raise
        self._is_fit = frames.FORKS if bounds.once else kind != frames.MEMORY
        return self._checked(kind, content, bounds)

    def kill(self) -> None:
        """Kill the process immediately; safe from any thread. A thread that waits for its answer gets ``Crashed``."""
        self._is_killed = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Kill the process and wait for it to exit."""
        self.kill()
        self._process.wait()
        self._stream.close()

    def _exchange(self, module: str, name: str, arguments: tuple[Any, ...], bounds: Bounds) -> tuple[bytes, bytes]:
        starting = countdown(START_SECONDS)
        self._expect(frames.READY if not self._is_ready else b"", starting, bounds)
        self._is_ready = True
        self._stream.settimeout(START_SECONDS)
        try:
            given = pickle.dumps(arguments)
            send(self._stream, b"J", pickle.dumps((module, name, bounds)))
            send(self._stream, b"A", given)
        except RecursionError:
            raise Refused("the arguments are nested too deeply") from None
        except OSError:
            raise self._crash() from None
        self._expect(frames.STARTED, starting, bounds)
        return self._next(countdown(bounds.seconds), bounds)

    def _expect(self, kind: bytes, left: Any, bounds: Bounds) -> None:
        if kind and self._next(left, bounds)[0] != kind:
            raise Crashed("unexpected output")

    def _next(self, left: Any, bounds: Bounds) -> tuple[bytes, bytes]:
        try:
            frame = receive(self._stream, bounds.answer, left)
        except TimeoutError:
            raise TimeUp(bounds.seconds) from None
        except ValueError:
            raise AnswerTooLarge(bounds.answer) from None
        except OSError:
            frame = None
        if frame is None:
            raise self._crash()
        return frame

    def _crash(self) -> BoundedError:
        self.kill()
        code = self._process.wait()
        try:
            return Crashed(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        except ValueError:
            return Crashed(f"signal {-code}")

    def _checked(self, kind: bytes, content: bytes, bounds: Bounds) -> tuple[bytes, bytes]:
        match kind:
            case frames.VALUE | frames.CONTENT:
                return kind, content
            case frames.REFUSED:
                raise Refused(content.decode("utf-8", "replace"))
            case frames.MEMORY:
                raise OutOfMemory
            case frames.TOO_LARGE:
                raise AnswerTooLarge(bounds.answer)
            case _:
                raise Crashed(content.decode("ascii", "replace")[:100])
