"""Errors about files that cannot be read, with messages for notes."""

from worker.inputs.names import size_words


class UnreadableError(Exception):
    """A file could not be read. The message completes the sentence ``<name> could not be read: <cause>.`` in a note.

    The message is always ours: a library's own may contain the URL, and with it a signature or a password.
    """


class TooLargeError(UnreadableError):
    """A file exceeds its size limit."""

    def __init__(self, most: int) -> None:
        """Create the error for a file of more than ``most`` bytes."""
        super().__init__(f"it is larger than {size_words(most)}")
