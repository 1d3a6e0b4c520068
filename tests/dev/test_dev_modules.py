"""Modules of handlers, imported anew."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
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
    with pytest.raises(ConfigurationError, match="a second handler for task_created of any agent"):
        load(folder)


def test_a_module_that_ends_the_program_ends_it_not(folder: Path) -> None:
    save(folder, "one", "import sys\nsys.exit(3)\n")
    with pytest.raises(ConfigurationError, match=r"speaker.py:2: SystemExit: 3"):
        load(folder)
