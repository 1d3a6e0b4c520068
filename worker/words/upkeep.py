"""What a clean-up removes."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed, or would be.

    Args:
        tasks: Finished tasks whose time is over, with all that is theirs.
        events: Of these tasks.
        journal: Rows of journals that no attempt will read any more.
        files: Stored files that no task refers to.
        file_bytes: What these files hold.
        audit: Lines of the audit log.
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
