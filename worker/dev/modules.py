"""The modules of a folder of handlers, imported anew after each save."""

import importlib
import os
import sys
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from worker import registry
from worker.registry import Registry
from worker.words.errors import ConfigurationError


def load(folder: Path) -> Registry:
    """Import every module of the folder, those that handlers import from it too, into a registry of its own.

    Code that runs keeps the modules it began with. Where this fails, all is as it was before.

    Args:
        folder: Usually ``handlers`` in the current directory.

    Returns:
        What the modules registered, checked.

    Raises:
        ConfigurationError: A module cannot be imported, or handlers do not fit: one line each, with file and line.
    """
    place = str(folder.resolve())
    former, modules = registry.default, _take_out(place)
    registry.default = Registry()
    _forget_bytecode(folder)
    importlib.invalidate_caches()
    try:
        registry.discover(folder)
        registry.default.check()
    except ConfigurationError:
        _take_out(place)
        sys.modules.update(modules)
        registry.default = former
        raise
    return registry.default


def _take_out(place: str) -> dict[str, ModuleType]:
    """Have the folder's modules imported no more; they are returned, by name."""
    taken = {name: module for name, module in list(sys.modules.items()) if _is_of(module, place)}
    for name in taken:
        del sys.modules[name]
    return taken


def _is_of(module: ModuleType, place: str) -> bool:
    try:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    except Exception:  # noqa: BLE001 - sys.modules may hold anything, lazy objects that fail among them
        return False
    return any(isinstance(each, str) and (each == place or each.startswith(place + os.sep)) for each in places)


def _forget_bytecode(folder: Path) -> None:
    """Remove what was compiled: Python knows a source by whole seconds and size, two quick saves may share both."""
    for source in folder.rglob("*.py"):
        try:
            Path(cache_from_source(str(source))).unlink(missing_ok=True)
        except (OSError, NotImplementedError):  # read-only, or a Python that keeps none
            return
