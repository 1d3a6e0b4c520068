"""Modules of handlers, imported anew."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from worker import registry
from worker.dev.modules import load
from worker.registry import Registry
from worker.words.errors import ConfigurationError

SPEAKER = """
from reloaded import words
from worker import on_task

@on_task
def speak(task):
    return words.WORD
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of handlers; what its modules left behind is undone."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path, default = list(sys.path), registry.default
    folder = tmp_path / "reloaded"
    folder.mkdir()
    yield folder
    sys.path[:], registry.default = path, default
    for name in [name for name in sys.modules if name.split(".")[0] == "reloaded"]:
        del sys.modules[name]


def save(folder: Path, word: str, speaker: str = SPEAKER) -> None:
    """Save both modules as if it were always the same moment."""
    for name, source in (("words", f"WORD = {word!r}\n"), ("speaker", speaker)):
        path = folder / f"{name}.py"
        path.write_text(source)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def said(loaded: Registry) -> Any:
    (handler,) = loaded.handlers
    return handler.function(None)


def test_two_saves_of_one_second_and_one_size_are_told_apart(folder: Path) -> None:
    save(folder, "one")
    first = load(folder)
    assert said(first) == "one"
    save(folder, "two")
    assert said(load(folder)) == "two"
    assert said(first) == "one"  # what runs goes on with what it began with


def test_a_load_that_fails_leaves_everything_as_it_was(folder: Path) -> None:
    save(folder, "one")
    first = load(folder)
    modules = {name: sys.modules[name] for name in ("reloaded", "reloaded.speaker", "reloaded.words")}
    save(folder, "two", "1 / 0\n")
    with pytest.raises(ConfigurationError, match=r"reloaded/speaker.py:1: ZeroDivisionError"):
        load(folder)
    assert registry.default is first
    assert {name: sys.modules[name] for name in modules} == modules


def test_handlers_that_do_not_fit_are_refused_before_they_are_served(folder: Path) -> None:
    save(folder, "one", SPEAKER + "\n@on_task\ndef second(task): ...\n")
    with pytest.raises(ConfigurationError, match="a second task_created handler for any agent"):
        load(folder)


def test_a_module_that_ends_the_program_ends_it_not(folder: Path) -> None:
    save(folder, "one", "import sys\nsys.exit(3)\n")
    with pytest.raises(ConfigurationError, match=r"speaker.py:2: SystemExit: 3"):
        load(folder)


TABLES = """
import functools
from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship
from prometheus_client import Counter, Gauge
from staying import STAYS, Base
from worker import on_task

class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    heroes: Mapped[list["Hero"]] = relationship(back_populates="team")

class Hero(Base):
    __tablename__ = "heroes"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    team: Mapped[Team] = relationship(back_populates="heroes")

LINKS = Table("links", Base.metadata, Column("id", Integer, primary_key=True))

class Metrics:
    def __init__(self):
        self.size = Gauge("reloaded_size", "size")

CALLS = {"all": [Counter("reloaded_calls", "calls")]}
METRICS = Metrics()
LABELLED = Counter("reloaded_labelled", "only its child is held", ["of"]).labels("one")

def within():
    class Within(Base):
        __tablename__ = "within"
        id: Mapped[int] = mapped_column(primary_key=True)
    return lambda: Within

@functools.cache
def at_first_use():
    return Counter("reloaded_used", "registered by a task")

within_too = within()

@on_task
def speak(task):
    at_first_use().inc()
    return str(Hero(team=Team(id=1)).team.id)
"""


@pytest.fixture
def staying(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module beside the folder: it is imported once, and has a table and a metric of its own."""
    from prometheus_client import REGISTRY, Gauge
    from sqlalchemy import Column, Integer, MetaData, Table
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        metadata = MetaData()

    module = ModuleType("staying")
    vars(module).update(Base=Base, STAYS=Gauge("staying_size", "size"))
    vars(module).update(TABLE=Table("stays", Base.metadata, Column("id", Integer, primary_key=True)))
    monkeypatch.setitem(sys.modules, "staying", module)
    yield module
    for name in ("reloaded_calls", "reloaded_labelled", "reloaded_size", "reloaded_used", "staying_size"):
        REGISTRY.unregister(REGISTRY._names_to_collectors[name])


@pytest.mark.filterwarnings("error")  # of SQLAlchemy, about a class that is registered twice
def test_tables_and_metrics_may_be_defined_again(folder: Path, staying: Any) -> None:
    from prometheus_client import REGISTRY

    save(folder, "one", TABLES)
    first = load(folder)
    hero = sys.modules["reloaded.speaker"].Hero
    save(folder, "two", TABLES + "1 / 0\n")
    with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
        load(folder)
    assert staying.Base.metadata.tables["heroes"] is hero.__table__
    assert staying.Base.registry._class_registry["Hero"] is hero
    assert set(staying.Base.metadata.tables) == {"stays", "heroes", "teams", "links", "within"}
    assert said(first) == "1"
    for word in ("two", "three"):
        save(folder, word, TABLES)
        assert said(load(folder)) == "1"
    assert REGISTRY.get_sample_value("reloaded_used_total") == 1
    again = sys.modules["reloaded.speaker"]
    assert again.Hero is not hero
    assert staying.Base.metadata.tables["heroes"] is again.Hero.__table__
    again.CALLS["all"][0].inc()
    assert REGISTRY.get_sample_value("reloaded_calls_total") == 1
    assert REGISTRY.get_sample_value("staying_size") == 0


def test_a_folder_keeps_what_is_installed_in_it(folder: Path) -> None:
    installed = folder / "env" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (folder / "env" / "pyvenv.cfg").touch()
    (installed / "reloadedlibrary.py").touch()
    sys.path.insert(0, str(installed))
    save(folder, "one", SPEAKER + "\nimport reloadedlibrary\n")
    load(folder)
    library = sys.modules.pop("reloadedlibrary")
    sys.modules["reloadedlibrary"] = library
    load(folder)
    assert sys.modules.pop("reloadedlibrary") is library
