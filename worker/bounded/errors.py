"""How bounded work ends without an answer."""


class BoundedError(Exception):
    """Bounded work ended without an answer."""


class TimeUp(BoundedError):  # noqa: N818 - says what happened, as TimeoutError does
    """The work took longer than its bound; its process was killed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"it takes longer than {seconds:g} seconds")


class OutOfMemory(BoundedError):  # noqa: N818 - as MemoryError
    """The work took more memory than its bound."""

    def __init__(self) -> None:
        super().__init__("it takes too much memory")


class AnswerTooLarge(BoundedError):  # noqa: N818 - says what happened
    """The answer is larger than its bound."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"what comes of it is larger than {most:,} bytes")


class Crashed(BoundedError):  # noqa: N818 - says what happened
    """The work ended its process, or raised what nobody expected."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(f"it breaks what reads it ({how})")


class NotStarted(BoundedError):  # noqa: N818 - says what happened
    """No child process could be started: the system gives no more processes, memory or descriptors."""


class Busy(BoundedError):  # noqa: N818 - says what happened
    """No turn came within the time that the caller wanted to wait for one."""
