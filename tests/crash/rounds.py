"""The long stories, round after round and several at once: ``make crash TIMES=10``.

A story mostly waits, so several share a machine. Each is a process with a PostgreSQL of its own; all stories of one
round have the same seed. A failure is shown when it happens and the rest goes on: the table at the end tells how rare
it is.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.chance import SEED

MARKED = ["-m", "crash"]
PLACES = 3  # what goes on at once on two cores; a story that measures its own speed takes two


@dataclass
class Story:
    """A test that is marked ``crash``."""

    node: str
    name: str
    places: int

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.removeprefix("test_").replace("_", " ")


class Stories:
    """What pytest finds, as a plugin of it."""

    def __init__(self) -> None:
        self.found: list[Story] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take what is left once ``-k`` and ``-m`` have chosen."""
        for item in session.items:
            mark = item.get_closest_marker("crash")
            node = f"{item.path}::{item.nodeid.partition('::')[2]}"
            self.found.append(Story(node, item.name, mark.kwargs.get("places", 1) if mark else 1))


@dataclass
class Run:
    """A story in one round."""

    story: Story
    seed: int
    folder: Path
    passed: bool | None = None
    seconds: float = 0

    @property
    def cell(self) -> str:
        """How it went, for the table."""
        if self.passed is None:
            return "-"
        return f"{self.seconds:.0f}" if self.passed else f"FAIL {self.seconds:.0f}"

    async def tell(self) -> None:
        """Run the story, pass on the figures it tells, and say how it ended."""
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "pytest", *MARKED, "-q", "-s", "--timeout", "3600"],
            *["-o", "faulthandler_timeout=3660"],  # a story may take longer than a test
            *["--basetemp", str(self.folder), self.story.node],
            env=os.environ | {"CRASH_SEED": str(self.seed), "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it once, from here
        )
        assert process.stdout
        output: list[str] = []
        try:
            async for line in process.stdout:
                output.append(line.decode(errors="replace"))
                if output[-1].startswith("  "):
                    self._say(output[-1].strip())
        except asyncio.CancelledError:
            process.send_signal(signal.SIGINT)
            await process.wait()
            raise
        self.passed = await process.wait() == 0
        self.seconds = time.monotonic() - began
        if self.passed:
            self._say(f"passed in {self.seconds:.0f} s")
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self._say(f"FAILED after {self.seconds:.0f} s; what its workers logged is in {self.folder}")
            say("".join(output))

    def _say(self, text: str) -> None:
        say(f"{self.seed} {self.story.title}: {text}")


async def tell_all(runs: Sequence[Run]) -> None:
    """Tell them in order, as many at once as there are places for."""
    free = asyncio.Semaphore(PLACES)

    async def tell(run: Run) -> None:
        await run.tell()
        for _ in range(run.story.places):
            free.release()

    async with asyncio.TaskGroup() as group:
        for run in runs:
            for _ in range(run.story.places):
                await free.acquire()
            group.create_task(tell(run))


def table(stories: Sequence[Story], runs: Sequence[Run]) -> str:
    """Seconds by story and seed, and how to have each failure again."""
    seeds = sorted({run.seed for run in runs})
    cells = {(run.story.name, run.seed): run.cell for run in runs}
    wide = max(len(story.title) for story in stories)
    lines = [" " * wide + "".join(f"{seed:>9}" for seed in seeds)]
    lines += [story.title.ljust(wide) + "".join(f"{cells[story.name, seed]:>9}" for seed in seeds) for story in stories]
    failures = [run for run in runs if run.passed is False]
    lines += [f'again: make crash CRASH_SEED={run.seed} ARGS="-k {run.story.name}"' for run in failures]
    passed = sum(run.passed is True for run in runs)
    return "\n".join([*lines, f"{passed} of {len(runs)} passed"])


def say(text: str) -> None:
    """Print it at once."""
    print(text, flush=True)  # noqa: T201 - a program that tells


def main() -> int:
    """Find the stories, tell them so many times, and show the table.

    Returns:
        0 if all passed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.crash.rounds", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how many rounds; each has the next seed")
    options, chosen = parser.parse_known_args()
    stories = Stories()
    if pytest.main([*MARKED, "--collect-only", "-qq", *chosen], plugins=[stories]) != pytest.ExitCode.OK:
        return 1
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    runs = [
        Run(story, seed, folder / f"{seed}-{story.name}")
        for seed in range(SEED, SEED + options.times)
        for story in stories.found
    ]
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stories' processes are to end in either way
    try:
        asyncio.run(tell_all(runs))
    except KeyboardInterrupt:
        say("interrupted")
    say(f"\n{table(stories.found, runs)} in {(time.monotonic() - began) / 60:.0f} minutes")
    if not any(run.passed is False for run in runs):
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(run.passed for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
