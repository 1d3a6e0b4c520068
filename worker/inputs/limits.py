"""How much of a task's attachments is read, in bytes, seconds and characters."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The bounds within which attachments are read and inlined; every number is a setting of the worker.

    Arguments:
        file_bytes: the most one file may hold, decompressed, in bytes.
        task_bytes: the most all files of a task may hold together, in bytes.
        process_bytes: the most all tasks of a process hold at one time, in bytes; who comes late waits.
        files: how many files of a task are read; each one more becomes a note, so a task cannot be a port scan.
        seconds: the whole download of one file, from resolving its name to its last byte, on the monotonic clock.
        redirects: how many redirects of one file are followed.
        file_characters: the most one file puts into the message, in characters; None: as many as suit the model.
        total_characters: the most all files put into the message, in characters; None: as many as suit the model.
        document_pictures: how many pictures within one document become images.
        allow_private: whether loopback and private addresses may be reached; those of clouds' credentials never are.
    """

    file_bytes: int = 20 * MEBIBYTE
    task_bytes: int = 60 * MEBIBYTE
    process_bytes: int = 128 * MEBIBYTE
    files: int = 100
    seconds: float = 30.0
    redirects: int = 5
    file_characters: int | None = None
    total_characters: int | None = None
    document_pictures: int = 0
    allow_private: bool = False
