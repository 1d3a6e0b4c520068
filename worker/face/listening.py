"""Names of xpander-sdk for what ``worker run`` and the decorators do here."""

from collections.abc import Callable
from typing import Any, TypeVar

from worker.decorators import on_boot, on_shutdown, on_task
from worker.face.configuration import Configuration

Function = TypeVar("Function", bound=Callable[..., Any])


class Events:
    """Registers handlers; a worker is started by ``worker run``, or by running the script that has them.

    Args:
        configuration: Taken, and without meaning: where a worker works is said by its environment.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    def register(self, on_task: Callable[..., Any], test_task: Any = None) -> None:
        """Bind a function to new tasks, as ``@on_task`` does."""
        _on_task(test_task=test_task)(on_task)

    @classmethod
    def register_boot_handler(cls, handler: Callable[..., Any]) -> None:
        """Have a function called before the worker claims anything, as ``@on_boot`` does."""
        on_boot(handler)

    @classmethod
    def register_shutdown_handler(cls, handler: Callable[..., Any]) -> None:
        """Have a function called when the worker leaves, as ``@on_shutdown`` does."""
        on_shutdown(handler)


def on_auth_event(function: Function) -> Function:
    """Take a function that hears of sign-ins; it is returned unchanged, and never called: agents here ask for none."""
    return function


_on_task = on_task
