"""Errors of bounded work that ended without an answer."""


class BoundedError(Exception):
    """Bounded work ended without an answer."""


class TimeUp(BoundedError):  # noqa: N818 - the name describes an event, like TimeoutError
    """The work exceeded its time limit; its process was killed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"processing takes longer than {seconds:g} seconds")


class OutOfMemory(BoundedError):  # noqa: N818 - like MemoryError
    """The work exceeded its memory limit."""

    def __init__(self) -> None:
        super().__init__("processing requires too much memory")


class AnswerTooLarge(BoundedError):  # noqa: N818 - the name describes an event
    """The answer exceeded its size limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"the output exceeds {most:,} bytes")


class Crashed(BoundedError):  # noqa: N818 - the name describes an event
    """The work ended its process, or raised an unexpected exception."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(f"the process that handled the data ended unexpectedly ({how})")


class NotStarted(BoundedError):  # noqa: N818 - the name describes an event
    """No child process could be started: the system has no processes, memory or descriptors left."""


class Busy(BoundedError):  # noqa: N818 - the name describes an event
    """The job did not start within the time that the caller was willing to wait."""
