"""Hooks at the places in Agno that every model call, tool call, run and session passes, whoever makes it.

They are put in once, and do nothing outside a run of ours: the frame in hand, a context variable, is None there. Some
of the places have private names. They are looked up when the hooks are put in, so that a version of Agno which has
moved one is refused by name instead of being run without its journal.
"""

import functools
import inspect
import sys
import threading
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

from worker.agents.instrumentation.hooks.places import Hook, Original
from worker.agents.instrumentation.hooks.table import HOOKS
from worker.threads import in_thread
from worker.words.errors import ConfigurationError

_installed: dict[tuple[str, str, str], Original] = {}
_installing = threading.Lock()


def install() -> None:
    """Put the hooks in; a second call does nothing.

    Raises:
        ConfigurationError: The installed version of Agno has moved one of the places.
    """
    with _installing:
        if not _installed:
            _installed.update(_install())  # all at once: no run may begin with some of them


async def installed() -> None:
    """Put the hooks in, the first time in a thread: most of Agno is imported for it, which takes a second.

    Raises: ConfigurationError, as ``install``.
    """
    if not _installed:
        await in_thread(install)


def _install() -> dict[tuple[str, str, str], Original]:
    """Make all that is put in before the first is: whatever fails on the way leaves Agno as it was."""
    found = [(hook, *_look_up(hook)) for hook in HOOKS]
    made = [_with_looks_of(original, hook.make(original)) for hook, _, original in found]
    for (hook, owner, original), instead in zip(found, made, strict=True):
        setattr(owner, hook.name, instead)
        for holder in _holders(original) if hook.is_shared else ():
            setattr(holder, hook.name, instead)
    return {(hook.module, hook.owner, hook.name): original for hook, _, original in found}


def missing() -> list[str]:
    """The places that the installed version of Agno does not have; empty if it can be run."""
    names: list[str] = []
    for hook in HOOKS:
        try:
            _look_up(hook)
        except ConfigurationError:
            names.append(str(hook))
    return names


def _look_up(hook: Hook) -> tuple[Any, Original]:
    try:
        module = import_module(hook.module)
        owner = getattr(module, hook.owner) if hook.owner else module
        return owner, inspect.getattr_static(owner, hook.name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Agno {version('agno')} has no {hook}, which a run's journal needs. Install a version of Agno that"
            " this version of agno-worker was tested with (see its pyproject.toml), or a newer agno-worker."
        ) from error


def _holders(function: Original) -> list[ModuleType]:
    """The modules of Agno that hold a function: those that are imported later find what is put in its place."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("agno.")]  # others import, too
    return [each for each in modules if getattr(each, function.__name__, None) is function]


def _with_looks_of(original: Original, made: Any) -> Any:
    return functools.wraps(original)(made) if callable(original) and callable(made) else made
