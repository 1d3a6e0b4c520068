"""How long a worker waits for what, apart from what its settings say. Each is a value that is handed down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerTimings:
    """Times of one worker, in seconds.

    Args:
        lost: Between two questions for what it has lost, should a hint not have come.
        cut_off: Between two looks for runs that outlived the lease by this process's own clock.
        wear: Between two looks at what wears it out.
        report: Between two reports of it.
        standstill: For which all places are held by runs that wait for other tasks, before somebody is told.
        hooks: What shutdown hooks get at the least, when the runs have used up all the time.
        hand_back: What cancelled runs get to be handed back; Heroku's 30 s less the drain's 24 leave six.
    """

    lost: float = 5.0
    cut_off: float = 0.25
    wear: float = 1.0
    report: float = 10.0
    standstill: float = 10.0
    hooks: float = 1.5
    hand_back: float = 4.0


DEFAULT = WorkerTimings()
