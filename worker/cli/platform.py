"""Access to the platform from a command."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from worker.cli import failures, output

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.settings import Settings

T = TypeVar("T")


def read_settings(**changes: Any) -> "Settings":
    """Read the settings of the environment.

    Args:
        changes: Settings overridden by the command's options; None leaves a setting unchanged.

    Raises:
        ConfigurationError: Settings are invalid; the message has one line for each.
    """
    from pydantic import ValidationError

    from worker.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        raise failures.bad_settings(error) from None
    return settings.model_copy(update={name: value for name, value in changes.items() if value is not None})


def ask(call: "Callable[[Platform], Awaitable[T]]", *, quiet: bool = False, **changes: Any) -> T:
    """Open the platform that the settings name, make a call, and close the platform.

    Args:
        call: Takes the platform.
        quiet: Do not print where the platform is, since a program reads the output.
        changes: Settings overridden by the command's options; None leaves a setting unchanged.

    Raises:
        ModuleException: The platform cannot be reached, or ``call`` raised it.
    """
    return asyncio.run(_on_platform(call, quiet=quiet, **changes))


async def _on_platform(call: "Callable[[Platform], Awaitable[T]]", *, quiet: bool, **changes: Any) -> T:
    from worker import wiring

    platform = wiring.choose(read_settings(**changes))
    try:
        await platform.open()
        if not quiet and sys.stderr.isatty():
            output.aside(f"on {platform.description}")
        return await call(platform)
    finally:
        await platform.close()
