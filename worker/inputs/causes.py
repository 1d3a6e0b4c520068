"""Why a file could not be read, as values that carry the words for its note."""

from worker.inputs.names import size_words


class UnreadableError(Exception):
    """A file could not be read; its text is the cause, fit for `<name> could not be read: <cause>.`.

    The text is always ours: a library's own message may hold the URL, and with it a signature or a password.
    """


class TooLargeError(UnreadableError):
    """A file is larger than it may be."""

    def __init__(self, most: int) -> None:
        """Say that the file holds more than `most` bytes."""
        super().__init__(f"it is larger than {size_words(most)}")
