"""What modules of handlers have entered into the lists of libraries, which refuse the same name a second time.

A table of SQLAlchemy, and so of SQLModel, is known to its ``MetaData``, a metric of Prometheus to its registry, also
where that is a library's own and is not imported anew. So what the modules that leave have entered leaves with them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

Undo = Callable[[], None]

DEEPEST = 3  # containers and classes within each other that are looked into: ``METRICS["http"].requests``


Modules = Mapping[str, dict[str, Any]]
"""What modules hold, by their names; of one that could not be imported that is all there is."""


def take_out(modules: Modules) -> list[Undo]:
    """Take out what modules have entered.

    Args:
        modules: Those that leave.

    Returns:
        What enters it again, should the modules come back.
    """
    found = [value for held in modules.values() for value in _held(held.values(), modules)]
    imported = _values_of_others()
    held = [
        each for each in found if (each.__module__ in modules if isinstance(each, type) else id(each) not in imported)
    ]
    return [*_take_out_metrics(held), *_take_out_tables(held)]


def _values_of_others() -> set[int]:
    """What modules that stay call their own; from there the others may have imported it."""
    values: set[int] = set()
    for module in list(sys.modules.values()):
        with suppress(Exception):  # sys.modules may hold anything
            values.update(map(id, vars(module).values()))
    return values


def _held(values: Iterable[Any], modules: Modules, depth: int = 0) -> Iterator[Any]:
    """Whatever modules hold, in containers, in classes of their own and in objects of these, too."""
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
        with suppress(Exception):  # it is not registered, or in another registry; objects may be anything
            registry.unregister(collector)
            yield _quietly(registry.register, collector)


def _take_out_tables(held: list[Any]) -> Iterator[Undo]:
    library: Any = sys.modules.get("sqlalchemy")
    if library is None:
        return
    leaving = {id(each) for each in held if isinstance(each, library.MetaData)}  # it is made anew, with its tables
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
    """A function whose name has got an underscore in some version; ``registry.dispose`` would end the mappers."""
    return getattr(module, f"_{name}", None) or getattr(module, name)


def _registry_of(kind: type) -> Any:
    return getattr(kind, "registry", None) or getattr(kind, "_sa_registry", None)


def _finish_mapping() -> None:
    """Have what is mapped find what it names by text while that can be found; code that runs goes on with it."""
    orm: Any = sys.modules.get("sqlalchemy.orm")
    if orm is not None:
        with suppress(Exception):
            orm.configure_mappers()


def _each_once(values: Iterable[Any]) -> list[Any]:
    return list({id(each): each for each in values}.values())


def _quietly(function: Callable[..., Any], *arguments: Any) -> Undo:
    def undo() -> None:
        with suppress(Exception):  # what came in its place meanwhile stays
            function(*arguments)

    return undo
