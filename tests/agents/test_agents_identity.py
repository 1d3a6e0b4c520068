"""The journal answers only the question that was asked: whoever asks, in whatever order, whatever is left out."""

import asyncio
from random import Random

import pytest
from attempts import Task
from made_up import World, handler, made_up

from worker.agents import event_buffer


@pytest.fixture(autouse=True)
def dies_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed has no last seconds."""
    monkeypatch.setattr(event_buffer, "LAST_SECONDS", 0.0)


async def resumes_wherever_it_dies(seed: int, *, most_deaths: int) -> None:
    """Carry out a handler that is made up, kill it at every write, and compare with the run that was never killed."""
    part = made_up(Random(seed))
    whole, world = Task(), World(Random(seed))
    result = await asyncio.wait_for(whole.attempted(handler(whole, part, world)), 20)
    asked, effects = world.asked.total(), len(world.effects)
    moments = list(range(whole.writes))
    for moment in moments if len(moments) <= most_deaths else sorted(Random(seed).sample(moments, most_deaths)):
        where = f"seed {seed}, dead at write {moment}: {part}"
        again, other = Task(), World(Random(seed * 1000 + moment))
        handle = handler(again, part, other)
        first = await asyncio.wait_for(again.attempted(handle, dies_at=moment), 20)
        if first is not None:  # what is gathered took another order, and fewer writes
            assert first == result, where
            continue
        models, tools = len(again.rows_of("model")), len(_effects(again))
        before = other.asked.total(), len(other.effects)
        second = await asyncio.wait_for(again.attempted(handle), 20)
        assert second == result, where
        assert other.asked.total() - before[0] == asked - models, f"{where}: completed calls are not made again"
        assert len(other.effects) - before[1] == effects - tools, f"{where}: nor are completed tools"
        assert len(set(other.effects)) == effects, f"{where}: each call has its key, the same whenever it is made"
        assert again.notes() == [], where


def _effects(task: Task) -> list[object]:
    return [row for row in task.rows_of("tool") if row["value"].get("tool") == "note"]


@pytest.mark.parametrize("seed", range(30))
async def test_a_handler_made_up_at_random_resumes_wherever_it_dies(seed: int) -> None:
    await resumes_wherever_it_dies(seed, most_deaths=12)
