"""Every trouble at every event of every answer, on every wire, in every program (`make crash`): the suite has some."""

import pytest

from tests.crash.chance import told
from tests.providers.plots import PROGRAMS, SILENT, leftovers, plots_of, wrongs_of
from tests.providers.standin import WIRES
from tests.supervisor.stories import Handlers
from tests.workers import handlers
from worker.agents.instrumentation import bare, model_asking
from worker.engine.engine import Engine

__all__ = ["handlers", "leftovers"]

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("leftovers", "environment"),
    pytest.mark.parametrize("program", PROGRAMS),
    pytest.mark.parametrize("wire", WIRES),
]

AT_ONCE = 16
SILENT_AT_ONCE = 24  # they mostly wait
SILENCE_SECONDS = "6"  # of which an answer that comes needs none


async def test_every_trouble_meets_every_event(engine: Engine, handlers: Handlers, wire: str, program: str) -> None:
    plots = [each for each in plots_of(wire, program) if each.kind not in SILENT]
    assert not await wrongs_of(plots, engine, handlers, at_once=AT_ONCE)
    told(f"{len(plots)} troubles of {wire} in {program}")


async def test_a_model_may_fall_silent_at_every_event(
    engine: Engine, handlers: Handlers, wire: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_MODEL_SILENCE_SECONDS", SILENCE_SECONDS)
    for module in (bare, model_asking):
        monkeypatch.setattr(module, "AT_ONCE", 1)
    plots = [each for each in plots_of(wire, program) if each.kind in SILENT]
    assert not await wrongs_of(plots, engine, handlers, at_once=SILENT_AT_ONCE)
    told(f"{len(plots)} silences of {wire} in {program}")
