"""Timeouts of the embedded server, passed along as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddedTimings:
    """The timeouts of one embedded server, in seconds.

    Args:
        start: For a start, which takes 0.1 s; recovery after a crash replays up to 1 GB of log.
        fast_stop: For a shutdown that ends sessions and writes a checkpoint.
        immediate_stop: For one that leaves the rest to recovery.
    """

    start: float = 60.0
    fast_stop: float = 30.0
    immediate_stop: float = 10.0


DEFAULT = EmbeddedTimings()
