"""A fleet for every story."""

from pathlib import Path

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Shell
from tests.crash.fleet import Fleet, ledger_of
from worker.engine.engine import Engine

__all__ = ["here", "shells"]


@pytest.fixture
def fleet(here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("STORY_LEDGER", str(ledger_of(Path(here.folder))))
    return Fleet(here, engine)
