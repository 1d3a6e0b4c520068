"""What is found in a folder of handlers, and what is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker import registry as registries
from worker.discovery import discover
from worker.registry import Registry
from worker.words.errors import ConfigurationError

HANDLER = "from worker.decorators import on_task\n\n\n@on_task(agent_id=__name__)\ndef work(task): ...\n"
MINE = ("served", "billing", "app", "things")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The process's own registry, empty."""
    fresh = Registry()
    monkeypatch.setattr(registries, "default", fresh)
    return fresh


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of handlers in the current directory; what its modules left behind is undone."""
    made = tmp_path / "here" / "served"
    made.mkdir(parents=True)
    monkeypatch.chdir(made.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] in MINE]:
        del sys.modules[name]


def write(folder: Path, *names: str, source: str = HANDLER) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)


def test_modules_are_imported_in_the_order_of_their_names(folder: Path, registry: Registry) -> None:
    write(folder, "b.py", "a.py", "__init__.py")
    assert discover(folder) == ["served.a", "served.b"]
    assert [handler.agent_id for handler in registry.handlers] == ["served", "served.a", "served.b"]
    assert discover(Path("served")) == ["served.a", "served.b"]
    assert len(registry.handlers) == 3


def test_sub_folders_are_looked_into(folder: Path, registry: Registry) -> None:
    write(folder, "a.py", "billing/__init__.py", "billing/invoices.py", "plain/deep/more.py")
    (folder / "plain" / "ring").symlink_to(folder, target_is_directory=True)
    expected = ["served.a", "served.billing", "served.billing.invoices", "served.plain.deep.more"]
    assert discover(folder) == expected
    assert [handler.name for handler in registry.handlers] == [f"{each}.work" for each in expected]


def test_what_is_no_module_of_handlers_is_passed_over(folder: Path) -> None:
    write(folder, "a.py")
    broken = ("._a.py", ".#b.py", "#a.py", "~a.py", ".git/x.py", "__pycache__/a.py", "__main__.py", "conftest.py")
    write(folder, *broken, "tests/test_a.py", "env/lib/x.py", "notes.txt", source="1 / 0\n")
    (folder / "env" / "pyvenv.cfg").touch()
    (folder / ".#lock.py").symlink_to("someone@host.1234")  # as Emacs leaves one
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (folder / "folder.py").mkdir()
    assert discover(folder) == ["served.a"]


def test_a_name_with_a_dot_is_refused_by_name(folder: Path) -> None:
    write(folder, "my.handlers.py", "with-hyphen.py")
    with pytest.raises(ConfigurationError) as caught:
        discover(folder)
    assert str(caught.value) == "served/my.handlers.py: a module's name must not contain a dot: rename the file"


@pytest.mark.parametrize("is_imported", [True, False])
def test_somebody_elses_package_of_that_name_is_not_taken_for_it(
    folder: Path, tmp_path: Path, *, is_imported: bool
) -> None:
    library = tmp_path / "library"
    write(library, "served/__init__.py", "served/theirs.py", source="THEIRS = True\n")
    sys.path.insert(0, str(library))
    write(folder, "a.py", source=HANDLER + "from served import shared, theirs\nfrom things import THING\n")
    write(folder, "shared.py")
    write(folder.parent, "things.py", source="THING = 1\n")
    if is_imported:
        __import__("served")
    assert discover(folder) == ["served.a", "served.shared"]
    assert sys.modules["served.theirs"].THEIRS


def test_the_current_folder_may_be_the_folder(folder: Path, registry: Registry) -> None:
    here = folder.parent
    write(here, "app.py", source="import things\n" + HANDLER)
    write(here, "things.py", source="from worker.decorators import on_task\n@on_task\ndef work(task): ...\n")
    write(here, "served/broken.py", source="1 / 0\n")
    assert discover(Path()) == ["app", "things"]
    assert [handler.name for handler in registry.handlers] == ["things.work", "app.work"]
    assert registry.folder == here
    assert discover(here) == ["app", "things"]
    registry.check()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("secrets", "'secrets' is a module of Python's standard library"), ("pytest", "another module is named 'pytest'")],
)
def test_modules_of_the_current_folder_hide_no_others(folder: Path, name: str, expected: str) -> None:
    write(folder.parent, f"{name}.py")
    with pytest.raises(ConfigurationError, match=expected):
        discover(Path())


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder 'handlers'"):
        discover(tmp_path / "handlers")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("\n\nimport no_such_module\n", "3: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\nraise ValueError('no')\n", "2: ValueError: no"),
        ("def (\n", "1: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "2: SystemExit: 3"),
        ("class Panic(BaseException):\n    __str__ = None\n\nraise Panic\n", "4: Panic"),
        ("import pytest\npytest.skip('no')\n", "2: Skipped"),
    ],
)
@pytest.mark.parametrize("name", ["bad.py", "__init__.py", "sub/bad.py"])
def test_a_module_that_cannot_be_imported_is_an_error_with_its_line(
    folder: Path, name: str, source: str, expected: str
) -> None:
    write(folder, name, source=source)
    write(folder, "good.py")
    with pytest.raises(ConfigurationError) as caught:
        discover(folder)
    assert str(caught.value).startswith(f"served/{name}:{expected}")
