"""Every trouble at every event of every answer, on every wire, in every program (`make crash`): the suite has some."""

import pytest

from tests.crash.chance import told
from tests.providers.plots import PROGRAMS, SILENT, plots_of, wrongs_of
from tests.providers.standin import WIRES
from tests.providers.surroundings import leftovers, short_silence
from tests.supervisor.stories import Handlers
from tests.workers import handlers
from worker.engine.engine import Engine

__all__ = ["handlers", "leftovers", "short_silence"]

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


async def test_every_trouble_meets_every_event(engine: Engine, handlers: Handlers, wire: str, program: str) -> None:
    plots = [each for each in plots_of(wire, program) if each.kind not in SILENT]
    assert not await wrongs_of(plots, engine, handlers, at_once=AT_ONCE)
    told(f"{len(plots)} troubles of {wire} in {program}")


@pytest.mark.usefixtures("short_silence")
async def test_a_model_may_fall_silent_at_every_event(
    engine: Engine, handlers: Handlers, wire: str, program: str
) -> None:
    plots = [each for each in plots_of(wire, program) if each.kind in SILENT]
    assert not await wrongs_of(plots, engine, handlers, at_once=SILENT_AT_ONCE)
    told(f"{len(plots)} silences of {wire} in {program}")
