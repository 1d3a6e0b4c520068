"""Arguments of tool calls that are cut or not JSON: the tool is not called with what is left of them."""

import json
from dataclasses import dataclass

import pytest

from tests.providers.answers import Raw, Says
from tests.providers.standin import WIRES
from tests.providers.stories import WHOLE, Shape, Story, alone, in_one_piece
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


@pytest.mark.parametrize("name", [each for each in WIRES if each != "bedrock"])  # whose events have checksums
@pytest.mark.parametrize("shape", [alone, in_one_piece])
async def test_arguments_nested_without_end_are_no_error_for_good(name: str, shape: Shape) -> None:
    wire, says = WIRES[name], Says(calls=[Call("look", {"n": "deep"}, "c2")])
    parts = wire.events(says) if shape is alone else [json.dumps(wire.body(says)).encode()]
    deep = b"[" * 3000 + b"]" * 3000
    parts = [each.replace(rb"\"deep\"", deep).replace(b'"deep"', deep) for each in parts]
    kind = wire.stream_type if shape is alone else "application/json"
    story = await Story(wire, shape, Raw(parts, kind)).told()
    assert (story.result, story.effects) == (WHOLE, ["looked"]), story.errors


async def test_an_answer_that_is_cut_within_a_call_keeps_its_text() -> None:
    wire = WIRES["anthropic"]
    events = wire.events(Says(("Let me look.",), calls=[Call("look", {"n": 12}, "c2")], finish="length"))
    trouble = Raw([each.replace(WRITTEN, BROKEN["cut in a number"]) for each in events], wire.stream_type)
    story = await Paying(wire, alone, trouble).told(attempts=1)
    assert (story.result, story.errors, story.effects) == ("Let me look.", [], ["looked at 0"])
    assert story.task.notes() == ["incomplete"]
