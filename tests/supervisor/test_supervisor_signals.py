"""Signals are heard whatever libraries make of them: in a process of its own, since a process has them once."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, os, queue, signal, sys
from worker.supervisor import signals

heard = queue.Queue()
signals.handle_signals((signal.SIGTERM, signal.SIGINT), heard.put)

async def main():
    loop, own = asyncio.get_running_loop(), asyncio.Event()
    def taken():
        loop.add_signal_handler(signal.SIGUSR1, own.set)  # it has the kernel wake the loop
        {how}
    taken()
    signals.restore_reception()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.to_thread(heard.get, True, 10) == signal.SIGTERM
    os.kill(os.getpid(), signal.SIGUSR1)
    async with asyncio.timeout(10):
        await own.wait()
    await asyncio.sleep(0.05)
    assert heard.empty(), "once each"

asyncio.run(main())
"""

HOW = {
    "wakes its loop": "pass",
    "ignores": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "resets": "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
    "handles": "signal.signal(signal.SIGTERM, lambda *_: None)",
    "on its loop": "loop.add_signal_handler(signal.SIGTERM, lambda: None)",
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_what_a_library_takes_is_taken_back_and_shared(how: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(how=how)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr


AT_ONCE = """
import signal
from worker.supervisor import signals

told = []
signals.handle_signals((signal.SIGTERM, signal.SIGINT), lambda number: None, immediate=lambda: told.append("leave"))
for times in range(1, 21):
    signal.raise_signal(signal.{name})
    assert len(told) == times, "known before the next statement, however late the thread is"
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_is_known_before_the_main_thread_goes_on_and_raises_nothing_in_it(name: str) -> None:
    script = AT_ONCE.format(name=name)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


ALARM = """
import asyncio, signal
from worker.supervisor.shutdown import run_on

class Late(BaseException):
    pass

def late(*_):
    rung.set()
    raise Late

async def main():
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not rung.is_set():
        await asyncio.sleep(0.05)
    return "went on"

rung = asyncio.Event()
loop = asyncio.new_event_loop()
assert run_on(loop, main(), passes=BaseException) == "went on"
"""


def test_a_signals_handler_that_raises_while_the_loop_waits_ends_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", ALARM], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
