"""Properties of the machine, printed next to every result: the time of an fsync, the cores, the load."""

import os
import statistics
import tempfile
import time
from pathlib import Path


def fsync_milliseconds(folder: Path) -> float:
    """Return the median time of 100 durable writes of one page, in the folder of the database."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(100):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def describe(folder: Path) -> str:
    """Return a one-line description of the machine."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, one fsync {fsync_milliseconds(folder):.2f} ms"


def percentiles(seconds: list[float]) -> str:
    """Return p50, p95 and p99 in milliseconds as text."""
    ordered = sorted(seconds)
    chosen = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.95, 0.99))
    return " / ".join(f"{value:.1f}" for value in chosen) + " ms"
