"""The samples: their text, and how they are run."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("samples")
PACKAGE = "xpander_sdk"


def names() -> list[str]:
    """All samples that can be run."""
    return sorted(path.stem for path in FOLDER.glob("*.txt") if "_declares_" not in path.stem)


def declarations() -> list[str]:
    """All samples that only declare something."""
    return sorted(path.stem for path in FOLDER.glob("*_declares_*.txt"))


def text(name: str) -> str:
    """A sample as it was written."""
    return (FOLDER / f"{name}.txt").read_text()


async def run(name: str, namespace: dict[str, Any], replaced: Mapping[str, str]) -> None:
    """Run a sample, and the functions that it defines without parameters; only what is replaced is not its own."""
    source = text(name)
    for old, new in {PACKAGE: "worker", **replaced}.items():
        source = source.replace(old, new)
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    known = dict(namespace)
    await finished(eval(code, namespace))  # noqa: S307 - running the sample is the test
    for function in functions(namespace, name, known):
        await finished(function())


def functions(namespace: Mapping[str, Any], name: str, known: Mapping[str, Any]) -> Iterator[Any]:
    """The functions of a sample that can be called as they are."""
    for each, value in list(namespace.items()):
        is_own = inspect.isfunction(value) and value.__code__.co_filename == name
        if (
            value is not known.get(each)
            and is_own
            and all(
                parameter.default is not parameter.empty for parameter in inspect.signature(value).parameters.values()
            )
        ):
            yield value


async def finished(value: Any) -> None:
    """Wait for what has to be waited for."""
    if inspect.isawaitable(value):
        await value
