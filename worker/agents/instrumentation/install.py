"""Installation of hooks at the places in Agno that every model call, tool call, run and session passes through.

Hooks are installed once, and do nothing outside a run of the worker: the current frame, a context variable, is None
there. Some places have private names. All places are looked up before installation, so that a version of Agno that has
moved one is rejected by name instead of running without its journal.
"""

import functools
import inspect
import sys
import threading
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

from worker.agents.instrumentation.hooks.table import HOOKS
from worker.agents.instrumentation.places import Hook, Original
from worker.threads import in_thread
from worker.words.errors import ConfigurationError

_installed: dict[tuple[str, str, str], Original] = {}
_installing = threading.Lock()


def install() -> None:
    """Install the hooks. Further calls do nothing.

    Raises:
        ConfigurationError: The installed version of Agno has moved one of the places.
    """
    with _installing:
        if not _installed:
            _installed.update(_install())  # in one step: no run may begin with only some of the hooks


async def installed() -> None:
    """Install the hooks, the first time in a thread, since importing most of Agno takes a second.

    Raises:
        ConfigurationError: The installed version of Agno has moved one of the places.
    """
    if not _installed:
        await in_thread(install)


def _install() -> dict[tuple[str, str, str], Original]:
    """Create all hooks before installing the first, so that a failure leaves Agno unchanged."""
    found = [(hook, *_look_up(hook)) for hook in HOOKS]
    made = [_with_looks_of(original, hook.make(original)) for hook, _, original in found]
    for (hook, owner, original), instead in zip(found, made, strict=True):
        setattr(owner, hook.name, instead)
        for holder in _holders(original) if hook.is_shared else ():
            setattr(holder, hook.name, instead)
    return {(hook.module, hook.owner, hook.name): original for hook, _, original in found}


def missing() -> list[str]:
    """Return the places that the installed version of Agno lacks; empty if it is supported."""
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
            f"Agno {version('agno')} has no {hook}, which this version of agno-worker requires. Install an Agno"
            " version that it was tested with (see its pyproject.toml), or a newer agno-worker."
        ) from error


def _holders(function: Original) -> list[ModuleType]:
    """Return the modules of Agno that have imported a function; modules imported later find the replacement."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("agno.")]  # threads may import
    return [each for each in modules if getattr(each, function.__name__, None) is function]


def _with_looks_of(original: Original, made: Any) -> Any:
    return functools.wraps(original)(made) if callable(original) and callable(made) else made
