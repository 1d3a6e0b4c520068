"""``worker check --from-xpander``: which lines of code for xpander-sdk work here, need changes, or cannot work."""

import ast
import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from worker.cli.moving_table import MEMBERS, NAMES, OF_VERSION_1, MovingName, Verdict, differs, missing
from worker.words.errors import ConfigurationError

PACKAGE = "xpander_sdk"
PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})
SHORT = {Verdict.Works: "works", Verdict.Differs: "change", Verdict.Missing: "missing"}


class Finding(NamedTuple):
    """A line of code that uses xpander-sdk.

    Args:
        what: The name that the line uses.
    """

    place: str
    what: str
    entry: MovingName

    def __str__(self) -> str:
        note = f": {self.entry.note}" if self.entry.note else ""
        return f"{self.place}: {SHORT[self.entry.verdict]}: {self.what}{note}"


def findings(folder: Path) -> list[Finding]:
    """Return the findings in a folder, or in one file.

    Raises:
        ConfigurationError: There is no such folder.
    """
    if not folder.exists():
        raise ConfigurationError(f"there is no folder {str(folder)!r}")
    files = [folder] if folder.is_file() else sorted(each for each in folder.rglob("*.py") if _is_theirs(each, folder))
    return [found for file in files for found in _of_file(file, folder)]


def _is_theirs(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts[:-1]
    inside = [folder.joinpath(*parts[: number + 1]) for number in range(len(parts))]
    hidden = any(part.startswith(".") or part in PASSED_OVER for part in parts)
    return not hidden and not any((each / "pyvenv.cfg").exists() for each in inside)


def _of_file(file: Path, folder: Path) -> Iterator[Finding]:
    shown = file.name if file == folder else str(file.relative_to(folder))
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError) as error:
        note = f"Python {platform.python_version()} cannot parse it: {error}"
        yield Finding(f"{shown}:{getattr(error, 'lineno', 1) or 1}", "the file", missing(note))
        return
    if not any(_imports_it(node) for node in ast.walk(tree)):
        return
    found = [each for node in ast.walk(tree) for each in (*_of_node(node), *_of_agno(node))]
    for line, what, entry in sorted(found, key=lambda each: each[0]):
        yield Finding(f"{shown}:{line}", what, entry)


def _imports_it(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return not node.level and _is_its(node.module or "")
    return isinstance(node, ast.Import) and any(_is_its(each.name) for each in node.names)


def _is_its(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


def _of_node(node: ast.AST) -> Iterator[tuple[int, str, MovingName]]:
    match node:
        case ast.ImportFrom() if _imports_it(node):
            for each in node.names:
                yield node.lineno, f"from {node.module} import {each.name}", _imported(node.module or "", each.name)
        case ast.Import():
            for each in node.names:
                if _is_its(each.name):
                    yield node.lineno, f"import {each.name}", _module(each.name)
        case ast.Attribute() if node.attr in MEMBERS:
            yield node.end_lineno or node.lineno, f".{node.attr}", MEMBERS[node.attr]
        case ast.keyword() if node.arg in MEMBERS:
            yield node.value.lineno, f"{node.arg}=", MEMBERS[node.arg]
        case _:
            pass


def _of_agno(node: ast.AST) -> Iterator[tuple[int, str, MovingName]]:
    """Yield what the installed version of Agno has no more, or calls otherwise than the one that xpander-sdk brings."""
    match node:
        case ast.ImportFrom() if not node.level and (node.module or "").partition(".")[0] == "agno":
            for each in node.names:
                if not _is_in_agno(node.module or "", each.name):
                    note = missing(f"Agno {version('agno')}, which is installed here, has no such name")
                    yield node.lineno, f"from {node.module} import {each.name}", note
        case ast.Call(func=ast.Attribute(attr="arun" | "run" as name)):
            if any(each.arg == "message" for each in node.keywords):
                yield node.lineno, f".{name}(message=)", differs("Agno calls it `input` since version 2")
        case ast.Call(func=ast.Name(id="Team")):
            given = {each.arg for each in node.keywords}
            if None in given and "members" not in given:  # Team(**arguments)
                yield node.lineno, "Team(**…)", differs("pass `members=` yourself: agents have no sub-agents here")
        case _:
            pass


def _is_in_agno(module: str, name: str) -> bool:
    """Return whether a name can be imported from a module of Agno, as far as its optional dependencies allow to say."""
    try:
        return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
    except ImportError as error:
        return not (error.name or "").startswith("agno")


def _imported(module: str, name: str) -> MovingName:
    """Return the entry of an imported name, from the table or from the names that can be imported here."""
    from worker.aliases import MODULES, WHERE

    below = module.removeprefix(PACKAGE).removeprefix(".")
    if name in NAMES:
        known = NAMES[name]
        if known.verdict is Verdict.Missing or not below or name in MODULES.get(below, ()) or below == "types":
            return known
    if f"{below}.{name}".removeprefix(".") in MODULES or (not below and name == "types"):
        return MovingName(Verdict.Works, f"from worker{below and '.'}{below}")
    if name in WHERE:
        is_there = not below or below == "types" or name in MODULES.get(below, ())
        return MovingName(Verdict.Works) if is_there else MovingName(Verdict.Differs, f"from worker import {name}")
    if not below and name in OF_VERSION_1:
        return missing(f"a name of xpander-sdk before version 2: use {OF_VERSION_1[name]}")
    return missing("this name does not exist here")


def _module(name: str) -> MovingName:
    from worker.aliases import MODULES

    below = name.removeprefix(PACKAGE).removeprefix(".")
    return MovingName(Verdict.Works) if not below or below == "types" or below in MODULES else missing("no such module")


def table() -> str:
    """Return the table of the guide: names that differ or are missing."""
    rows = [("| In xpander-sdk | Here | |"), "|---|---|---|"]
    for names in (NAMES, {f".{name}": entry for name, entry in MEMBERS.items()}):
        for verdict in (Verdict.Differs, Verdict.Missing):
            alike: dict[str, list[str]] = {}
            for name in sorted(name for name, entry in names.items() if entry.verdict is verdict):
                alike.setdefault(names[name].note, []).append(f"`{name}`")
            rows += [f"| {', '.join(chosen)} | {verdict} | {note} |" for note, chosen in alike.items()]
    same = ", ".join(f"`{name}`" for name, entry in sorted(NAMES.items()) if entry.verdict is Verdict.Works)
    return "\n".join([*rows, "", f"Names that work the same: {same}."])
