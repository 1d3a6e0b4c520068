"""What bounds a worker's exit: signals are heard though the loop is blocked, and unread output holds up nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from worker.telemetry.output import Output

ROOT = Path(__file__).parents[2]
SECONDS = 60  # of a machine that is busy

BLOCKED = """
import asyncio, signal, time
from worker.supervisor.signals import LastExit, handle_signals
async def main():
    last = LastExit(0.5)
    handle_signals((signal.SIGTERM,), lambda number: last.begin())
    print("ready", flush=True)
    time.sleep(600)
asyncio.run(main())
"""


def test_a_process_whose_loop_is_blocked_ends_in_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", BLOCKED], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_writing_to_a_pipe_that_nobody_reads_waits_for_nothing_and_says_what_was_dropped() -> None:
    reading, writing = os.pipe()
    output = Output(os.fdopen(writing, "w"))
    for number in range(30_000):
        output.write(f"line {number} {'x' * 100}\n")
    output.settle(0.1)
    text = ""
    with os.fdopen(reading) as reader:
        while "lines were dropped because" not in text:
            text += reader.readline()
    assert text.startswith("line 0 ")
