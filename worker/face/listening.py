"""xpander-sdk's names for the registration of handlers."""

from collections.abc import Callable
from typing import Any, TypeVar

from worker.decorators import on_boot, on_shutdown, on_task
from worker.face.configuration import Configuration

Function = TypeVar("Function", bound=Callable[..., Any])


class Events:
    """Registers handlers. ``worker run``, or running the script that registers them, starts the worker.

    Args:
        configuration: Ignored; accepted for xpander-sdk. The environment names a worker's platform.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    def register(self, on_task: Callable[..., Any], test_task: Any = None) -> None:
        """Bind a function to new tasks, as ``@on_task`` does.

        Args:
            on_task: The function.
            test_task: A ``LocalTaskTest``: the script runs this one task instead of becoming a worker.
        """
        _on_task(test_task=test_task)(on_task)

    @classmethod
    def register_boot_handler(cls, handler: Callable[..., Any]) -> None:
        """Register a function to be called before the worker claims anything, as ``@on_boot`` does."""
        on_boot(handler)

    @classmethod
    def register_shutdown_handler(cls, handler: Callable[..., Any]) -> None:
        """Register a function to be called when the worker shuts down, as ``@on_shutdown`` does."""
        on_shutdown(handler)


def on_auth_event(function: Function) -> Function:
    """Return a function unchanged. It is never called, since agents here need no sign-in."""
    return function


_on_task = on_task
