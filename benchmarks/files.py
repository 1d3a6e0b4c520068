"""Preparation of files of all kinds for a model: throughput, latency, and delays of the event loop."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.corpus import corpus, hostile
from benchmarks.machine import percentiles
from benchmarks.scenarios import LINES
from worker.engine.engine import Engine
from worker.inputs import Limits, Reader, StoredFile, adapt, compose_message
from worker.words.models import ModelCapabilities

AT_ONCE = 8
TICK = 0.005  # seconds between measurements of the event loop's lag
TAKES = ModelCapabilities(context=1_000_000)
TEXT_ALONE = ModelCapabilities(pdfs=False, images=False, context=200_000)


class Watch:
    """A monitor of the event loop's lag, and of the peak memory of this process and its children.

    On a busy machine the loop also lags because other processes use the processor. ``held`` is the lag caused by this
    process: it is capped at the processor time that this process used meanwhile.
    """

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.held: list[float] = []
        self.own = self.child = 0

    async def look(self) -> None:
        """Measure until canceled."""
        while True:
            due, taken = time.perf_counter() + TICK, time.process_time()
            await asyncio.sleep(TICK)
            self.lags.append(max(0.0, time.perf_counter() - due))
            self.held.append(min(self.lags[-1], time.process_time() - taken))
            if len(self.lags) % 10 == 0:
                self.own = max(self.own, _resident(os.getpid()))
                self.child = max([self.child, *map(_resident, _descendants(os.getpid()))])

    @property
    def said(self) -> str:
        """The lag and the memory as text."""
        late, held = (
            f"{ordered[int(len(ordered) * 0.99)] * 1000:.0f} / {ordered[-1] * 1000:.0f} ms"
            for ordered in (sorted(self.lags) or [0.0], sorted(self.held) or [0.0])
        )
        memory = f"worker {self.own / 2**20:.0f} MiB, a child {self.child / 2**20:.0f} MiB"
        return f"lag p99 / worst {late}, of it by this process {held}, {memory}"


async def files(engine: Engine, count: int) -> LINES:
    """Read files one at a time and concurrently, then hostile files alongside a small one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:  # a worker does not load the libraries used there
        made, traps = elsewhere.submit(corpus, count).result(), elsewhere.submit(hostile).result()
    lines = [await _figures(made, TAKES, "sent as they are"), await _figures(made, TEXT_ALONE, "text alone")]
    del engine
    return [*lines, *await _hostile(traps)]


async def _figures(made: list[tuple[str, bytes]], takes: ModelCapabilities, what: str) -> tuple[str, str]:
    watch, times = Watch(), list[float]()
    async with _reading(dict(made)) as read:
        with _watched(watch):
            for name, _ in made[: max(20, len(made) // 3)]:
                began = time.perf_counter()
                await read(name, takes)
                times.append(time.perf_counter() - began)
            began = time.perf_counter()
            await _several(read, (name for name, _ in made), takes)
            seconds = time.perf_counter() - began
    rate = f"{len(made) / seconds:.1f} files/s, one alone p50 / p95 / p99 {percentiles(times)}, {watch.said}"
    return f"files of all kinds, {what}: {len(made)}, {AT_ONCE} at once", rate


async def _several(read: "_Read", names: Iterable[str], takes: ModelCapabilities) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with turns:
            await read(name, takes)

    await asyncio.gather(*map(one, names))


async def _hostile(traps: dict[str, bytes]) -> LINES:
    lines: LINES = []
    for name, content in traps.items():
        watch = Watch()
        async with _reading({name: content, "small.csv": b"a,b\n1,2\n"}) as read:
            with _watched(watch):
                began = time.perf_counter()
                reading = asyncio.create_task(read(name, TAKES))
                beside = list[float]()
                while not reading.done():
                    small = time.perf_counter()
                    await read("small.csv", TAKES)
                    beside.append(time.perf_counter() - small)
                    await asyncio.sleep(TICK)
                noted = await reading
                seconds = time.perf_counter() - began
        end = f"a small file beside it {statistics.median(beside) * 1000:.1f} ms, {watch.said}"
        lines.append((f"hostile: {name} ({noted})", f"{seconds:.2f} s, {end}"))
    return lines


_Read = Callable[[str, ModelCapabilities], Coroutine[Any, Any, str]]


class _reading:  # noqa: N801 - a context manager named like a function
    """A reader of in-memory files."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    async def __aenter__(self) -> _Read:
        async def stored(reference: str) -> StoredFile:
            name = reference.partition(":")[2]
            return StoredFile(self._contents[name], "application/octet-stream", name)

        self._reader = Reader(Limits(), open_stored=stored)

        async def read(name: str, takes: ModelCapabilities) -> str:
            with await self._reader.read([f"worker:{name}"]) as attachments:
                fitting = await adapt(attachments, takes)
                compose_message("?", [f"worker:{name}"], fitting)
                return "noted" if fitting.notes else "read"

        return read

    async def __aexit__(self, *_: object) -> None:
        await self._reader.aclose()


@contextmanager
def _watched(watch: Watch) -> Generator[None]:
    looking = asyncio.create_task(watch.look())
    try:
        yield
    finally:
        looking.cancel()


def _descendants(process: int) -> list[int]:
    """Return the processes that read files: the children of ``worker.bounded`` and their copies."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                if b"worker.bounded" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found += [child, *_descendants(child)]
    return found


def _resident(process: int) -> int:
    """Return the resident memory of a process in bytes; 0 if the system does not report it."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
    return 0
