"""What is reachable from a user's object."""

import gc
import types
from collections.abc import Iterator
from typing import Any

from tests.agents.attempts import Task


def belonging_to_runs(root: Any) -> list[str]:
    """What is reachable from an object and belongs to a run of ours: how it is reached."""
    found: list[str] = []
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(type(root).__name__, root)]
    while waiting:
        path, each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        name = type(each).__module__
        if name.startswith("worker.") and not name.startswith("worker.testing"):
            found.append(f"{path}: {type(each).__name__}")
            continue
        waiting += [(f"{path}.{label}", inner) for label, inner in _within(each)]
    return found


def _within(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case types.FunctionType():
            yield from ((f"<{index}>", cell) for index, cell in enumerate(value.__closure__ or ()))
            yield from enumerate_as("default", value.__defaults__ or ())
        case types.CellType():
            yield from enumerate_as("cell", [value.cell_contents] if gc.get_referents(value) else [])
        case type() | types.ModuleType() | types.FrameType() | types.CodeType() | Task():
            return
        case dict():
            yield from ((f"[{key!r}]", inner) for key, inner in list(value.items()))
        case _ if type(value).__module__.split(".")[0] in ("sqlalchemy", "asyncio", "_asyncio", "builtins") and not (
            isinstance(value, list | tuple | set | frozenset | types.MethodType)
        ):
            return
        case _:
            yield from enumerate_as(type(value).__name__, gc.get_referents(value))


def enumerate_as(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    for index, each in enumerate(values):
        yield f"{name}{index}", each
