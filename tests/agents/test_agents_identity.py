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
    asked = world.asked.total()
    moments = list(range(whole.writes))
    for moment in moments if len(moments) <= most_deaths else sorted(Random(seed).sample(moments, most_deaths)):
        where = f"seed {seed}, dead at write {moment}: {part}"
        again, other = Task(), World(Random(seed * 1000 + moment))
        handle = handler(again, part, other)
        first = await asyncio.wait_for(again.attempted(handle, dies_at=moment), 20)
        if first is not None:  # what is gathered took another order, and fewer writes
            assert first == result, where
            continue
        answered, completed = len(again.rows_of("model")), len(_effects(again))
        second = await asyncio.wait_for(again.attempted(handle), 20)
        assert second == result, where
        assert other.asked[again.attempt] == asked - answered, f"{where}: completed calls are not made again"
        repeated = [effect for effect in other.effects if effect.attempt == again.attempt]
        assert len(repeated) == len(world.effects) - completed, f"{where}: nor are completed tools"
        keys = {effect.key for effect in other.effects}
        assert len(keys) == len(world.effects), f"{where}: each call has its key, the same whenever it is made"
        assert again.notes() == [], where


def _effects(task: Task) -> list[object]:
    return [row for row in task.rows_of("tool") if row["value"].get("tool") == "note"]


@pytest.mark.parametrize("seed", range(30))
async def test_a_handler_made_up_at_random_resumes_wherever_it_dies(seed: int) -> None:
    await resumes_wherever_it_dies(seed, most_deaths=12)
