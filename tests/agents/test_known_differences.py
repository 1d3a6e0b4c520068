"""The list of known differences from Agno's own tests may only shrink; what they are measured with."""

from pathlib import Path
from types import SimpleNamespace

from agno.agent import Agent

from tests.agno_suite.comparing import different, events_of, settled
from tests.agno_suite.known import Known
from tests.agno_suite.provider import Provider
from tests.agno_suite.report import Measured, found, shortened
from tests.providers.wires import Anthropic, Gemini, Ollama, OpenAIChat, Responses

LIST = Path(__file__).parents[1] / "agno_suite" / "known.toml"


def test_a_new_difference_and_one_that_is_gone_are_told(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text('[[difference]]\nreason = "It counts."\nin = ["replayed a::b notes", "replayed a::c notes"]\n')
    known = Known(file)
    assert known.new(["replayed a::b notes", "replayed a::b tools"]) == ["replayed a::b tools"]
    assert known.vanished([], ["replayed a::b", "recorded a::c"]) == ["replayed a::b notes"]


def test_a_difference_may_be_of_many_tests_and_of_some_runs_only(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text('[[difference]]\nreason = "It depends."\nsometimes = true\nin = ["replayed a::* [x]*"]\n')
    known = Known(file)
    assert known.new(["replayed a::b [x].y", "replayed a::b x"]) == ["replayed a::b x"]
    assert known.vanished([], ["replayed a::b"]) == []


def test_a_difference_may_be_in_some_fields_only(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text('[[difference]]\nreason = "It depends."\nfields = ["output.*", "events"]\nin = ["twice a"]\n')
    known = Known(file)
    assert known.new(["twice a output.text", "twice a events", "twice a leaks"]) == ["twice a leaks"]
    assert known.vanished(["twice a events"], ["twice a"]) == ["twice a output.*"]


def test_each_known_difference_has_a_reason() -> None:
    assert all(len(each.reason.split()) > 3 for each in Known(LIST).entries)


def test_values_are_compared_without_times_and_made_up_ids() -> None:
    one = {"id": "0f3c2a10-0000-4000-8000-00000000000a", "created_at": 1, "text": ["at 2026-01-01 10:00", "a"]}
    other = {"id": "ffffffff-0000-4000-8000-00000000000b", "created_at": 2, "text": ["at 2027-12-31 23:59", "b"]}
    assert shortened(different(settled(one), settled(other))) == {"text": "'a' is not 'b'"}


def test_a_pass_is_compared_only_where_its_baseline_passes() -> None:
    said = {"content": None, "raised": None, "output": "one", "events": {}, "session": None}
    converted, recorded = Measured("converted", passed={"a"}), Measured("recorded", passed={"b"})
    assert dict(found({"converted": converted, "recorded": recorded})) == {"recorded a fails": "it was not run"}
    recorded.passed.add("a")
    converted.runs["a"], recorded.runs["a"] = [{"said": said}], [{"said": said | {"output": "two"}}]
    assert dict(found({"converted": converted, "recorded": recorded})) == {"recorded a output": "'one' is not 'two'"}


def test_text_is_compared_as_a_whole_however_it_was_streamed() -> None:
    kinds = (
        ("RunContent", "content"),
        ("RunIntermediateContent", "content"),
        ("ReasoningContentDelta", "reasoning_content"),
    )
    for kind, name in kinds:
        pieces = [{"event": kind, "agent_id": "a", name: each} for each in ("one ", "two")]
        whole = [{"event": kind, "agent_id": "a", name: "one two"}]
        other = [{"event": kind, "agent_id": "b", "content": "two"}]
        assert settled({"events": pieces}) == settled({"events": whole})
        assert settled({"events": [pieces[0], *other]}) != settled({"events": whole})
        told = [[SimpleNamespace(**each) for each in events] for events in (pieces, whole)]
        assert events_of(told[0]) == events_of(told[1])


def test_a_call_that_the_baseline_does_not_make_is_a_difference() -> None:
    said = {"content": None, "raised": None, "output": "one", "events": {}, "session": None}
    converted, recorded = Measured("converted", passed={"a"}), Measured("recorded", passed={"a"})
    converted.runs["a"] = [{"said": said, "asked": 1, "tools": 0}]
    recorded.runs["a"] = [{"said": said, "asked": 2, "tools": 0}]
    assert dict(found({"converted": converted, "recorded": recorded})) == {"recorded a calls.asked": "1 is not 2"}


async def test_the_stand_in_is_asked_in_the_protocols_of_several_providers() -> None:
    provider = Provider()

    def said(city: str) -> str:
        """Say something of a city."""
        return f"in {city}"

    for wire in (OpenAIChat(), Responses(), Anthropic(), Gemini(), Ollama()):
        agent = Agent(model=wire.model(provider.url), tools=[said])
        output = [each async for each in agent.arun("Say what is said in 'Oslo'", stream=True, yield_run_output=True)]
        assert "with 1 results" in str(output[-1].content), wire
        assert "in Oslo" in str(output[-1].content), wire
