"""Entries of handler modules in the registries of libraries, which refuse a second entry of the same name.

A table of SQLAlchemy, and so of SQLModel, is registered in its ``MetaData``, a metric of Prometheus in its registry,
even if that belongs to a library and is not imported again. So the entries of unloaded modules are removed with them.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Undo = Callable[[], None]

INSTALLED = frozenset({"site-packages", "dist-packages"})
DEEPEST = 3  # levels of nested containers and classes to search, as in ``TABLES["links"].table``


Modules = Mapping[str, dict[str, Any]]
"""The contents of modules, by name; of a module that could not be imported, nothing else is left."""


def record_metrics(place: str) -> None:
    """Record from now on which metrics a folder's code registers: a metric itself does not tell who created it.

    Args:
        place: The absolute path of the folder.
    """
    from prometheus_client.registry import CollectorRegistry

    _places.add(place + os.sep)
    library: Any = CollectorRegistry
    register = library.register
    if hasattr(register, "__wrapped__"):
        return

    @functools.wraps(register)
    def recording(registry: Any, collector: Any) -> None:
        register(registry, collector)
        if (place := _place_of_caller()) is not None:
            _metrics.append((place, registry, collector))

    library.register = recording


_places: set[str] = set()
_metrics: list[tuple[str, Any, Any]] = []
"""Registered metrics: the folder whose code did it, the registry, the metric."""


def _place_of_caller() -> str | None:
    """Return the folder whose code is running; None while a module outside imports itself, if only for the folder."""
    frame = sys._getframe(2)  # noqa: SLF001 - inspect's way reads every file of the stack
    while frame is not None:
        code = frame.f_code
        for place in _places:
            if code.co_filename.startswith(place) and not INSTALLED.intersection(Path(code.co_filename).parts):
                return place
        if code.co_name == "<module>":
            return None
        frame = frame.f_back
    return None


def unregister(place: str, modules: Modules) -> list[Undo]:
    """Remove the entries of modules from the registries.

    Args:
        place: The absolute path of the folder of the modules.
        modules: The modules that are unloaded.

    Returns:
        Functions that restore the entries if the modules come back.
    """
    return [*_take_out_metrics(place + os.sep), *_take_out_tables(modules)]


def _values_of_others() -> set[int]:
    """Return the ids of all values in modules that stay, from which the unloaded ones may have imported them."""
    values: set[int] = set()
    for module in list(sys.modules.values()):
        with suppress(Exception):  # sys.modules may contain anything
            values.update(map(id, vars(module).values()))
    return values


def _values_in(values: Iterable[Any], modules: Modules, depth: int = 0) -> Iterator[Any]:
    """Yield all values of modules, also those in containers, in the modules' own classes and in their instances."""
    for value in list(values):
        yield value
        if depth == DEEPEST:
            continue
        if type(value) in (list, tuple, set, frozenset):
            yield from _values_in(value, modules, depth + 1)
        elif type(value) is dict:
            yield from _values_in(value.values(), modules, depth + 1)
        elif isinstance(value, type):
            if value.__module__ in modules:
                yield from _values_in(vars(value).values(), modules, depth + 1)
        elif type(value).__module__ in modules:
            yield from _values_in(getattr(value, "__dict__", {}).values(), modules, depth + 1)


def _take_out_metrics(place: str) -> Iterator[Undo]:
    leaving = [(registry, collector) for each, registry, collector in _metrics if each == place]
    _metrics[:] = [each for each in _metrics if each[0] != place]
    for registry, collector in leaving:
        with suppress(Exception):  # the folder's code may have removed it; collectors may be anything
            registry.unregister(collector)
            yield _quietly(_restore_metric, place, registry, collector)


def _restore_metric(place: str, registry: Any, collector: Any) -> None:
    registry.register(collector)
    _metrics.append((place, registry, collector))


def _take_out_tables(modules: Modules) -> Iterator[Undo]:
    library: Any = sys.modules.get("sqlalchemy")
    if library is None:
        return
    imported, mapped = _values_of_others(), [each for each in _mapped_classes() if each.__module__ in modules]
    held = [value for each in modules.values() for value in _values_in(each.values(), modules)]
    own = {id(each): each for each in (*held, *map(_table, mapped)) if id(each) not in imported}.values()
    leaving = {id(each) for each in own if isinstance(each, library.MetaData)}  # created again, with its tables
    staying = [
        each
        for each in own
        if isinstance(each, library.Table)
        and id(each.metadata) not in leaving
        and each.metadata.tables.get(each.key) is each
    ]
    if staying:
        _finish_mapping()
    for table in staying:
        table.metadata.remove(table)
        yield _quietly(table.metadata._add_table, table.name, table.schema, table)  # noqa: SLF001 - no public way back
    for kind in mapped:
        registry = getattr(kind, "registry", None) or getattr(kind, "_sa_registry", None)
        names = getattr(registry, "_class_registry", None)
        if names is not None and id(getattr(kind, "metadata", None)) not in leaving and _is_named(kind, names):
            mapping: Any = sys.modules["sqlalchemy.orm.clsregistry"]
            remove, add = (_either(mapping, f"{verb}_class") for verb in ("remove", "add"))
            remove(kind.__name__, kind, names)
            yield _quietly(add, kind.__name__, kind, names)


def _mapped_classes() -> list[type]:
    """Return all classes mapped to tables or about to be, wherever they were defined, in a function too."""
    mapping: Any = sys.modules.get("sqlalchemy.orm.mapper")
    if mapping is None:
        return []
    registries = list(mapping._all_registries())  # noqa: SLF001 - as all below, there is no public way
    return [manager.class_ for each in registries for manager in list(each._managers)]  # noqa: SLF001


def _table(kind: type) -> Any:
    return vars(kind).get("__table__")


def _is_named(kind: type, names: Mapping[str, Any]) -> bool:
    """Return whether a class is in its registry: one of an earlier import no longer is, but may still be mapped."""
    found = names.get(kind.__name__)
    return found is kind or any(each() is kind for each in getattr(found, "contents", ()))


def _either(module: Any, name: str) -> Any:
    """Return a function whose name has an underscore in some versions; ``registry.dispose`` would end the mappers."""
    return getattr(module, f"_{name}", None) or getattr(module, name)


def _finish_mapping() -> None:
    """Let mapped classes resolve references by name while that is possible; running code continues to use them."""
    orm: Any = sys.modules.get("sqlalchemy.orm")
    if orm is not None:
        with suppress(Exception):
            orm.configure_mappers()


def _quietly(function: Callable[..., Any], *arguments: Any) -> Undo:
    def undo() -> None:
        with suppress(Exception):  # an entry that has replaced it meanwhile stays
            function(*arguments)

    return undo
