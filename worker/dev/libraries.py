"""Entries of handler modules in the registries of libraries, which refuse a second entry of the same name.

A table of SQLAlchemy, and so of SQLModel, is registered in its ``MetaData``, a metric of Prometheus in its registry,
even if that belongs to a library and is not imported again. So the entries of unloaded modules are removed with them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

Undo = Callable[[], None]

DEEPEST = 3  # levels of nested containers and classes to search, as in ``METRICS["http"].requests``


Modules = Mapping[str, dict[str, Any]]
"""The contents of modules, by name; of a module that could not be imported, nothing else is left."""


def unregister(modules: Modules) -> list[Undo]:
    """Remove the entries of modules from the registries.

    Args:
        modules: The modules that are unloaded.

    Returns:
        Functions that restore the entries if the modules come back.
    """
    found = [value for held in modules.values() for value in _held(held.values(), modules)]
    imported = _values_of_others()
    held = [
        each for each in found if (each.__module__ in modules if isinstance(each, type) else id(each) not in imported)
    ]
    return [*_take_out_metrics(held), *_take_out_tables(held)]


def _values_of_others() -> set[int]:
    """Return the ids of all values in modules that stay, from which the unloaded ones may have imported them."""
    values: set[int] = set()
    for module in list(sys.modules.values()):
        with suppress(Exception):  # sys.modules may contain anything
            values.update(map(id, vars(module).values()))
    return values


def _held(values: Iterable[Any], modules: Modules, depth: int = 0) -> Iterator[Any]:
    """Yield all values of modules, also those in containers, in the modules' own classes and in their instances."""
    for value in list(values):
        yield value
        if depth == DEEPEST:
            continue
        if type(value) in (list, tuple, set, frozenset):
            yield from _held(value, modules, depth + 1)
        elif type(value) is dict:
            yield from _held(value.values(), modules, depth + 1)
        elif isinstance(value, type):
            if value.__module__ in modules:
                yield from _held(vars(value).values(), modules, depth + 1)
        elif type(value).__module__ in modules:
            yield from _held(getattr(value, "__dict__", {}).values(), modules, depth + 1)


def _take_out_metrics(held: Iterable[Any]) -> Iterator[Undo]:
    library = sys.modules.get("prometheus_client")
    if library is None:
        return
    registry: Any = library.REGISTRY
    for collector in _each_once(each for each in held if hasattr(type(each), "collect")):
        with suppress(Exception):  # it may not be registered, or in another registry; objects may be anything
            registry.unregister(collector)
            yield _quietly(registry.register, collector)


def _take_out_tables(held: list[Any]) -> Iterator[Undo]:
    library: Any = sys.modules.get("sqlalchemy")
    if library is None:
        return
    leaving = {id(each) for each in held if isinstance(each, library.MetaData)}  # created again, with its tables
    tables = [table for each in held if (table := _table(each, library)) is not None]
    staying = [each for each in _each_once(tables) if id(each.metadata) not in leaving]
    if staying:
        _finish_mapping()
    for table in staying:
        table.metadata.remove(table)
        yield _quietly(table.metadata._add_table, table.name, table.schema, table)  # noqa: SLF001 - no public way back
    for kind in _each_once(each for each in held if isinstance(each, type)):
        names = getattr(_registry_of(kind), "_class_registry", None)
        if names is not None and id(getattr(kind, "metadata", None)) not in leaving and kind.__name__ in names:
            mapping: Any = sys.modules["sqlalchemy.orm.clsregistry"]
            remove, add = (_either(mapping, f"{verb}_class") for verb in ("remove", "add"))
            remove(kind.__name__, kind, names)
            yield _quietly(add, kind.__name__, kind, names)


def _table(value: Any, library: Any) -> Any:
    table = vars(value).get("__table__") if isinstance(value, type) else value
    return table if isinstance(table, library.Table) else None


def _either(module: Any, name: str) -> Any:
    """Return a function whose name has an underscore in some versions; ``registry.dispose`` would end the mappers."""
    return getattr(module, f"_{name}", None) or getattr(module, name)


def _registry_of(kind: type) -> Any:
    return getattr(kind, "registry", None) or getattr(kind, "_sa_registry", None)


def _finish_mapping() -> None:
    """Let mapped classes resolve references by name while that is possible; running code continues to use them."""
    orm: Any = sys.modules.get("sqlalchemy.orm")
    if orm is not None:
        with suppress(Exception):
            orm.configure_mappers()


def _each_once(values: Iterable[Any]) -> list[Any]:
    return list({id(each): each for each in values}.values())


def _quietly(function: Callable[..., Any], *arguments: Any) -> Undo:
    def undo() -> None:
        with suppress(Exception):  # an entry that has replaced it meanwhile stays
            function(*arguments)

    return undo
