"""A place in Agno, and what is put there."""

from collections.abc import Callable
from typing import Any, NamedTuple

Original = Callable[..., Any]


class Hook(NamedTuple):
    """A place in Agno, and what is put there.

    Args:
        module: Where it is.
        owner: Its class; empty for a function of the module.
        name: Of the method, property or function.
        make: Makes what takes its place, from what is there.
        is_shared: Whether other modules of Agno hold the same function under a name of their own.
    """

    module: str
    owner: str
    name: str
    make: Callable[[Original], Any]
    is_shared: bool = False

    def __str__(self) -> str:
        return ".".join(each for each in (self.module, self.owner, self.name) if each)
