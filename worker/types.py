"""The types of the public contract: enumerations, records, events, and the activity log."""

from worker import aliases as _aliases

__all__ = sorted(_aliases.TYPES)  # noqa: PLE0605 # pyright: ignore[reportUnsupportedDunderAll] # the stub file has it

_aliases.export(__name__)
