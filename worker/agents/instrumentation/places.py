"""A place in Agno and the hook to install there."""

from collections.abc import Callable
from typing import Any, NamedTuple

Original = Callable[..., Any]


class Hook(NamedTuple):
    """A place in Agno and the hook to install there.

    Args:
        module: The module.
        owner: The class; empty for a function of the module.
        name: The name of the method, property or function.
        make: Creates the replacement from the original.
        is_shared: Whether other modules of Agno import the function under a name of their own.
    """

    module: str
    owner: str
    name: str
    make: Callable[[Original], Any]
    is_shared: bool = False

    def __str__(self) -> str:
        return ".".join(each for each in (self.module, self.owner, self.name) if each)
