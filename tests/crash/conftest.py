"""A fleet for every story."""

from pathlib import Path

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Shell
from tests.crash.fleet import Fleet, ledger_of
from tests.support import free_port
from worker.engine.engine import Engine

__all__ = ["here", "shells"]


@pytest.fixture(params=["engine", "remote"])
async def way(request: pytest.FixtureRequest, here: Shell) -> dict[str, str]:
    """The variables of a worker on the database, or of one that goes through a server."""
    if request.param == "engine":
        return {}
    port = free_port()
    server = here.start("serve", "--port", str(port))
    await server.says("server ready")
    return {"XPANDER_BASE_URL": f"http://127.0.0.1:{port}"}


@pytest.fixture
def fleet(here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("STORY_LEDGER", str(ledger_of(Path(here.folder))))
    return Fleet(here, engine)
