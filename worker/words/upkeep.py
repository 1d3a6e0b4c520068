"""The statistics of a clean-up."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Removed:
    """The numbers of removed items, or of items that a clean-up would remove.

    Args:
        tasks: Finished tasks past their retention time, with everything that belongs to them.
        events: The events of these tasks.
        journal: Journal rows that no attempt will read again.
        files: Stored files that no task refers to.
        file_bytes: The total size of these files.
        audit: Entries of the audit log.
    """

    tasks: int = 0
    events: int = 0
    journal: int = 0
    files: int = 0
    file_bytes: int = 0
    audit: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))
