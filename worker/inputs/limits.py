"""Limits on the attachments of a task, in bytes, seconds and characters."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The limits on reading attachments and inlining them. The worker's settings supply the numbers.

    Args:
        file_bytes: The maximum size of one file after decompression, in bytes.
        task_bytes: The maximum size of all files of a task together, in bytes.
        process_bytes: The maximum size held by all tasks of a process at a time, in bytes; further tasks wait.
        files: How many files of a task are read; each further one becomes a note, so that a task cannot scan ports.
        seconds: The time for the download of one file, from name lookup to last byte, on the monotonic clock.
        redirects: How many redirects of one file are followed.
        file_characters: The maximum that one file adds to the message, in characters; None depends on the model.
        total_characters: The maximum that all files add to the message, in characters; None depends on the model.
        document_pictures: How many pictures within one document become images.
        allow_private: Whether loopback and private addresses may be fetched; cloud metadata services never may.
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
