"""Some of every trouble on each of six wires, in programs of every kind, on a real worker; `make crash` has all."""

import random

import pytest

from tests.providers.plots import PROGRAMS, SILENT, Plot, leftovers, plots_of, wrongs_of
from tests.supervisor.stories import Handlers
from tests.workers import handlers
from worker.engine.engine import Engine

__all__ = ["handlers", "leftovers"]

SIX = ("openai-chat", "openai-responses", "anthropic", "gemini", "bedrock", "mistral")
AT_ONCE = 9


def some_of(wire: str) -> list[Plot]:
    """One of each trouble, the same ones in every run; models that fall silent have tests of their own."""
    chance = random.Random(wire)
    by_kind: dict[str, list[Plot]] = {}
    for program in PROGRAMS:
        for plot in plots_of(wire, program):
            by_kind.setdefault(plot.kind, []).append(plot)
    return [chance.choice(plots) for kind, plots in by_kind.items() if kind not in SILENT]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("leftovers", "environment")
@pytest.mark.parametrize("wire", SIX)
async def test_a_result_is_whole_or_marked_whatever_its_provider_does(
    engine: Engine, handlers: Handlers, wire: str
) -> None:
    assert not await wrongs_of(some_of(wire), engine, handlers, at_once=AT_ONCE)
