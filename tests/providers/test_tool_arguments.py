"""Arguments of tool calls that are cut or not JSON: the tool is not called with what is left of them."""

from dataclasses import dataclass

import pytest

from tests.providers.answers import Raw, Says
from tests.providers.standin import WIRES
from tests.providers.stories import WHOLE, Story, alone
from worker.testing import Call

STREAMED = ("openai-chat", "openai-responses", "anthropic", "mistral", "groq", "cohere")
"""Providers that stream arguments as text."""

WRITTEN = rb"{\"n\": 12}"
BROKEN = {
    "cut in a number": rb"{\"n\": 1",
    "cut after a value": rb"{\"n\": 12",
    "twice": WRITTEN * 2,
    "not JSON": b"n=12",
}


@dataclass
class Paying(Story):
    """A story whose tool shows what it was given."""

    def look(self, n: int = 0) -> str:
        """Look at number n."""
        self.effects.append(f"looked at {n}")
        return "seen"


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_tool_is_not_called_with_a_part_of_its_arguments(name: str, broken: bytes) -> None:
    wire = WIRES[name]
    events = wire.events(Says(calls=[Call("look", {"n": 12}, "c2")]))
    assert any(WRITTEN in each for each in events)
    trouble = Raw([each.replace(WRITTEN, broken) for each in events], wire.stream_type)
    story = await Paying(wire, alone, trouble).told(attempts=2)
    assert (story.result, story.effects) == (WHOLE, ["looked at 0"]), story.errors


async def test_an_answer_that_is_cut_within_a_call_keeps_its_text() -> None:
    wire = WIRES["anthropic"]
    events = wire.events(Says(("Let me look.",), calls=[Call("look", {"n": 12}, "c2")], finish="length"))
    trouble = Raw([each.replace(WRITTEN, BROKEN["cut in a number"]) for each in events], wire.stream_type)
    story = await Paying(wire, alone, trouble).told(attempts=1)
    assert (story.result, story.errors, story.effects) == ("Let me look.", [], ["looked at 0"])
    assert story.task.notes() == ["incomplete"]
