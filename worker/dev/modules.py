"""The modules of a folder of handlers, imported again after each save."""

import importlib
import os
import sys
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType
from typing import Any

from worker import discovery, registry
from worker.dev import libraries
from worker.registry import Registry
from worker.words.errors import ConfigurationError
from worker.words.exception_groups import members


def load(folder: Path) -> Registry:
    """Import every module of the folder, including those that handlers import from it, into a registry of its own.

    Running code keeps the modules with which it began. If the import fails, everything remains as it was.

    Args:
        folder: Usually ``handlers`` in the current directory.

    Returns:
        The handlers that the modules registered, checked.

    Raises:
        ConfigurationError: A module cannot be imported, or handlers do not fit: one line each, with file and line.
    """
    place = str(folder.resolve())
    former, modules = registry.default, _unload(place)
    libraries.record_metrics(place)
    undo = libraries.unregister(place, _contents(modules))
    registry.default = Registry()
    _forget_bytecode(folder)
    importlib.invalidate_caches()
    try:
        discovery.discover(folder)
        registry.default.check()
    except ConfigurationError as error:
        libraries.unregister(place, _contents(_unload(place)) | _half_imported(error, place))
        sys.modules.update(modules)
        for each in undo:
            each()
        registry.default = former
        raise
    return registry.default


def _unload(place: str) -> dict[str, ModuleType]:
    """Remove the folder's modules from ``sys.modules``, and return them by name."""
    taken = {name: module for name, module in list(sys.modules.items()) if _is_of(name, module, place)}
    for name in taken:
        del sys.modules[name]
    return taken


def _contents(modules: dict[str, ModuleType]) -> dict[str, dict[str, Any]]:
    return {name: vars(module) for name, module in modules.items()}


def _half_imported(error: ConfigurationError, place: str) -> dict[str, dict[str, Any]]:
    """Return the contents of the folder's modules that failed to import, which only their errors still refer to."""
    found: dict[str, dict[str, Any]] = {}
    for each in members(error.__cause__) if error.__cause__ is not None else ():
        traceback = each.__traceback__
        while traceback is not None:
            held = traceback.tb_frame.f_globals
            if str(held.get("__file__", "")).startswith(place + os.sep):
                found[str(held.get("__name__"))] = held
            traceback = traceback.tb_next
    return found


def _is_of(name: str, module: ModuleType, place: str) -> bool:
    """Return whether a module belongs to the folder; packages installed in it, as in a virtual environment, do not."""
    if name.partition(".")[0] == registry.__name__.partition(".")[0]:  # a checkout of ours may be the current folder
        return False
    try:
        found = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    except Exception:  # noqa: BLE001 - sys.modules may contain anything, including lazy objects that fail
        return False
    if not isinstance(found, str) or not (found == place or found.startswith(place + os.sep)):
        return False
    return not libraries.INSTALLED.intersection(Path(found.removeprefix(place)).parts)


def _forget_bytecode(folder: Path) -> None:
    """Delete bytecode: Python recognizes a source by whole seconds and size, which two quick saves may share."""
    for source in folder.rglob("*.py"):
        try:
            Path(cache_from_source(str(source))).unlink(missing_ok=True)
        except (OSError, NotImplementedError):  # a read-only folder, or a Python without bytecode files
            return
