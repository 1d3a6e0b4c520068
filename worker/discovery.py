"""Discovery of handlers: finding, naming and importing the modules of a folder."""

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from worker import registry
from worker.words.errors import ConfigurationError, described

SKIPPED_FOLDERS = frozenset({"__pycache__", "test", "tests", "node_modules", "site-packages"})
NOT_IMPORTED = frozenset({"__init__", "__main__", "conftest"})  # ``__init__`` is imported with its package
ENVIRONMENT = "pyvenv.cfg"  # in the root folder of a virtual environment


def discover(folder: Path) -> list[str]:
    """Import all modules of a folder of handlers and its sub-folders, in the order of their names.

    Hidden files and folders, folders of tests and virtual environments are skipped. Of the current folder itself
    (``.``), only its own modules are imported, by their plain names.

    Args:
        folder: Usually ``handlers`` in the current directory, whose siblings become importable, too. A path to a single
            module is also accepted, such as a script that is run as a worker.

    Returns:
        The names of the modules.

    Raises:
        ConfigurationError: The folder is missing, or modules cannot be imported; the message has one line for each.
    """
    if folder.suffix == ".py" and folder.is_file():
        return _script(folder.resolve())
    if not folder.is_dir():
        raise ConfigurationError(
            f"there is no folder {folder.name or str(folder)!r}: create it, with a module that uses @on(...)"
        )
    place = folder.resolve()
    is_here = place == Path.cwd()
    parent = str(place if is_here else place.parent)
    if parent not in sys.path:
        sys.path.insert(0, parent)
    found = Found(place, "" if is_here else f"{place.name}.")
    found.import_all()
    if found.problems:
        cause = BaseExceptionGroup("of modules", found.errors) if found.errors else None
        raise ConfigurationError("\n".join(found.problems)) from cause
    registry.default.folder = place
    return found.names


def _script(path: Path) -> list[str]:
    """Import one module by its path, with its siblings importable as for a script."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    found = Found(path.parent, "")
    if not found.import_one(path):
        cause = BaseExceptionGroup("of modules", found.errors) if found.errors else None
        raise ConfigurationError("\n".join(found.problems)) from cause
    registry.default.folder = path
    return found.names


class Found:
    """The modules in a folder of handlers.

    Args:
        folder: An absolute path.
        prefix: Prefix of the modules' names; empty for top-level modules.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self.names: list[str] = []
        self.problems: list[str] = []
        self.errors: list[BaseException] = []

    def import_all(self) -> None:
        """Import all modules. Each one that cannot be imported becomes a problem."""
        if self._prefix and not self._import_package():
            return
        for path in self._modules():
            name = self._prefix + ".".join(path.relative_to(self._folder).with_suffix("").parts)
            if name.endswith(".__init__"):
                name = name.removesuffix(".__init__")
            if problem := self._misnamed(name, path):
                self.problems.append(problem)
            elif self._imports(name):
                self.names.append(name)

    def import_one(self, path: Path) -> bool:
        """Import one module of the folder, and return whether that succeeded."""
        if problem := self._misnamed(path.stem, path):
            self.problems.append(problem)
            return False
        self.names.append(path.stem)
        return self._imports(path.stem)

    def _imports(self, name: str) -> bool:
        try:
            importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a module of the user's may raise anything
            self._note(error)
            return False
        return True

    def _import_package(self) -> bool:
        """Import the folder as a package of its name, even if another package has that name."""
        name = self._prefix[:-1]
        former = sys.modules.get(name)
        if former is not None and _is_at(former, self._folder):
            return True
        package = _package(name, self._folder)
        sys.modules[name] = package
        try:
            if package.__file__ and package.__spec__ is not None and package.__spec__.loader is not None:
                package.__spec__.loader.exec_module(package)
        except BaseException as error:
            sys.modules.pop(name)
            if former is not None:
                sys.modules[name] = former
            if isinstance(error, KeyboardInterrupt):
                raise
            self._note(error)
            return False
        return True

    def _note(self, error: BaseException) -> None:
        self.problems.append(f"{_where(error, self._folder)}: {described(error)}")
        self.errors.append(error)

    def _modules(self) -> Iterator[Path]:
        """Yield the modules' files, in the order of their names."""
        for path in sorted(self._folder.glob("*.py")):
            if _counts(path) and path.stem not in NOT_IMPORTED and path.is_file():
                yield path
        if self._prefix:
            yield from _below(self._folder, {self._folder})

    def _misnamed(self, name: str, path: Path) -> str | None:
        """Return what is wrong with a module's name, or None."""
        shown = f"{self._folder.name}/{path.relative_to(self._folder)}"
        if "." in path.stem:
            return f"{shown}: a module's name must not contain a dot: rename the file"
        if not self._prefix and name in sys.stdlib_module_names:
            return f"{shown}: {name!r} is a module of Python's standard library: rename the file"
        taken = None if self._prefix else sys.modules.get(name)
        if taken is not None and not _is_at(taken, path):
            other = getattr(taken, "__file__", None) or "elsewhere"
            return f"{shown}: another module is named {name!r} ({other}): rename the file"
        return None


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the modules of all sub-folders."""
    for each in sorted(folder.iterdir()):
        if not each.is_dir() or each.name in SKIPPED_FOLDERS or "." in each.name:
            continue
        if (place := each.resolve()) in seen or (each / ENVIRONMENT).exists():
            continue
        seen.add(place)
        if (each / "__init__.py").is_file():
            yield each / "__init__.py"
        for path in sorted(each.glob("*.py")):
            if _counts(path) and path.stem not in NOT_IMPORTED and path.is_file():
                yield path
        yield from _below(each, seen)


def _counts(path: Path) -> bool:
    """Return whether a file is a module: editors and file systems leave hidden files next to modules."""
    return not path.name.startswith((".", "#", "~"))


def _package(name: str, folder: Path) -> ModuleType:
    """Create the folder's package without running it. Its path includes other packages with its name."""
    start, path = folder / "__init__.py", [str(folder), *_others(name, folder)]
    spec = spec_from_file_location(name, start, submodule_search_locations=path) if start.is_file() else None
    if spec is None:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = path
    return module_from_spec(spec)


def _others(name: str, folder: Path) -> list[str]:
    """Return the folders of other packages with the folder's name."""
    places = [each for each in sys.path if os.path.realpath(each or ".") != str(folder.parent)]
    found = PathFinder.find_spec(name, places)
    return list(found.submodule_search_locations or ()) if found is not None else []


def _is_at(module: ModuleType, place: Path) -> bool:
    """Return whether a module was imported from a folder or file."""
    try:
        places = [getattr(module, "__file__", None), next(iter(getattr(module, "__path__", ())), None)]
    except Exception:  # noqa: BLE001 - sys.modules may hold anything, including lazy objects that fail
        return False
    return any(isinstance(each, str) and os.path.realpath(each) == str(place.resolve()) for each in places)


def _where(error: BaseException, folder: Path) -> str:
    """Return the file and line in the folder that an error comes from."""
    traceback, found = error.__traceback__, folder.name
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if folder in path.parents:
            found = f"{folder.name}/{path.relative_to(folder)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        path = Path(error.filename)
        shown = path.relative_to(folder) if path.is_relative_to(folder) else path.name
        found = f"{folder.name}/{shown}:{error.lineno}"
    return found
