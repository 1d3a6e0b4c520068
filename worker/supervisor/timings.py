"""Worker timeouts and intervals that are not user settings, passed along as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerTimings:
    """The intervals and timeouts of a worker, in seconds.

    Args:
        lost: The interval of checks for lost attempts, in case a hint is missing.
        cut_off: The interval of checks for runs whose lease has expired by this process's own clock.
        wear: The interval of checks for wear.
        report: The interval of reports of wear.
        hung: How long a thread may run after its caller stopped waiting, before it counts as hung; most end soon.
        deadlock: How long all places must be held by waiting runs before a deadlock is announced.
        hooks: The least time for shutdown hooks, even if the runs have used up all the time.
        hand_back: The time for cancelled runs to be handed back; Heroku's 30 s minus the drain's 24 leave six.
        loop: The interval of checks whether the event loop responds.
        loop_blocked: Without a response, before the block is logged; a heavy import takes about one second.
    """

    lost: float = 5.0
    cut_off: float = 0.25
    wear: float = 1.0
    report: float = 10.0
    hung: float = 5.0
    deadlock: float = 10.0
    hooks: float = 1.5
    hand_back: float = 4.0
    loop: float = 0.1
    loop_blocked: float = 2.0


DEFAULT = WorkerTimings()
