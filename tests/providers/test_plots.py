"""Some of every trouble on every wire, in programs of every kind, on a real worker; `make crash` has all."""

import random

import pytest

from tests.providers.plots import PROGRAMS, SILENT, Plot, plots_of, wrongs_of
from tests.providers.standin import WIRES
from tests.providers.surroundings import leftovers, short_silence
from tests.supervisor.stories import Handlers
from tests.workers import handlers
from worker.engine.engine import Engine

__all__ = ["handlers", "leftovers", "short_silence"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("leftovers", "environment"),
]

AT_ONCE = 9
SILENT_AT_ONCE = 27  # they mostly wait


def some_of(wire: str) -> list[Plot]:
    """One of each trouble, the same ones in every run."""
    chance = random.Random(wire)
    by_kind: dict[str, list[Plot]] = {}
    for program in PROGRAMS:
        for plot in plots_of(wire, program):
            by_kind.setdefault(plot.kind, []).append(plot)
    return [chance.choice(plots) for kind, plots in by_kind.items() if kind not in SILENT]


def a_silence(wire: str, program: str) -> Plot:
    """One of the places at which a model may fall silent."""
    return random.Random(f"{wire} {program}").choice([each for each in plots_of(wire, program) if each.kind in SILENT])


@pytest.mark.parametrize("wire", WIRES)
async def test_a_result_is_whole_or_marked_whatever_its_provider_does(
    engine: Engine, handlers: Handlers, wire: str
) -> None:
    assert not await wrongs_of(some_of(wire), engine, handlers, at_once=AT_ONCE)


@pytest.mark.usefixtures("short_silence")
async def test_a_model_that_falls_silent_is_asked_again(engine: Engine, handlers: Handlers) -> None:
    plots = [a_silence(wire, program) for wire in WIRES for program in ("agent", "team", "workflow")]
    assert not await wrongs_of(plots, engine, handlers, at_once=SILENT_AT_ONCE)
