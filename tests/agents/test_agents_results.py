import asyncio
import contextlib
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from agno.agent import Agent
from agno.metrics import ModelType
from agno.models.anthropic import Claude
from agno.models.openai import OpenAIChat, OpenAIResponses
from agno.team import Team
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.agents.runs import Runner, flow
from worker.agents.answers import schemas
from worker.agents.answers.results import UnfitResult, Wanted, unfenced
from worker.agents.answers.schemas import schema_request
from worker.agents.errors import ResultInvalid
from worker.testing import Pieces, ScriptedModel
from worker.words.errors import ValidationError
from worker.words.statuses import OutputFormat

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
    "required": ["city", "people"],
}
GOOD = '{"city": "Zürich", "people": 447000}'


async def test_a_result_that_fits_is_json_text(running: Runner) -> None:
    model = ScriptedModel([GOOD])
    result = await running(Agent(model=model), output_schema=SCHEMA)
    assert result.content == GOOD
    assert "people" in model.requests[0].system, "a model without structured output reads the schema in its prompt"


async def test_a_fenced_result_fits_too(running: Runner) -> None:
    model = ScriptedModel([f"```json\n{GOOD}\n```"])
    assert (await running(Agent(model=model), output_schema=SCHEMA)).content == GOOD
    assert len(model.requests) == 1


async def test_a_result_that_does_not_fit_is_repaired_once(running: Runner) -> None:
    model = ScriptedModel(['{"city": "Bern", "people": 0}', GOOD])
    result = await running(Agent(model=model), output_schema=SCHEMA)
    assert result.content == GOOD
    assert result.tokens.prompt_tokens == 20, "the repair's tokens count"
    told = model.requests[1]
    assert [each.role for each in told.messages][-3:] == ["user", "assistant", "user"]
    assert "people" in told.user
    assert "minimum" in told.user


@pytest.mark.parametrize("agent_kind", ["agent", "team", "workflow"])
async def test_a_result_that_does_not_fit_twice_is_an_error_that_says_why(running: Runner, agent_kind: str) -> None:
    model = ScriptedModel(["I would rather not", '{"city": "Bern"}'])
    kinds: dict[str, Any] = {
        "agent": Agent(model=model),
        "team": Team(members=[Agent(id="idle", model=ScriptedModel([]))], model=model),
        "workflow": flow(Agent(model=model)),
    }
    with pytest.raises(ResultInvalid, match="'people' is a required property") as caught:
        await running(kinds[agent_kind], output_schema=SCHEMA)
    assert caught.value.content == '{"city": "Bern"}'


async def test_the_tasks_schema_wins_over_the_agents(running: Runner) -> None:
    agent = Agent(model=ScriptedModel([GOOD]), output_schema={"type": "object", "required": ["other"]})
    assert (await running(agent, output_schema=SCHEMA)).content == GOOD


async def test_the_agents_own_schema_counts_also_in_its_providers_form(running: Runner) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    with pytest.raises(ResultInvalid):
        await running(Agent(model=ScriptedModel(["{}", "{}"]), output_schema=form))


async def test_a_pydantic_result_is_its_json(running: Runner) -> None:
    class City(BaseModel):
        city: str
        people: int

    assert (await running(Agent(model=ScriptedModel([GOOD]), output_schema=City))).content == GOOD.replace(
        ": ", ":"
    ).replace(", ", ",")
    with pytest.raises(ResultInvalid, match="people"):
        await running(Agent(model=ScriptedModel(['{"city": "x"}', '{"city": "x"}']), output_schema=City))


async def test_a_schema_that_is_none_is_refused_by_name_before_any_call(running: Runner) -> None:
    model = ScriptedModel([GOOD])
    with pytest.raises(ValidationError, match="properties/city/type") as caught:
        await running(Agent(model=model), output_schema={"type": "object", "properties": {"city": {"type": "town"}}})
    assert caught.value.field == "output_schema"
    assert model.requests == []


async def test_a_reference_to_elsewhere_is_refused_and_not_fetched(running: Runner) -> None:
    asked = list[str]()

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reference = f"http://127.0.0.1:{server.server_port}/elsewhere"
        schema = {"type": "object", "properties": {"city": {"$ref": reference}}}
        with pytest.raises(ValidationError, match="elsewhere"):
            await running(Agent(model=ScriptedModel([GOOD])), output_schema=schema)
        server.shutdown()
    assert asked == []


async def test_a_schema_for_a_list_is_asked_for_in_words(running: Runner) -> None:
    model = ScriptedModel(["[1, 2]"])
    result = await running(Agent(model=model), output_schema={"type": "array", "items": {"type": "integer"}})
    assert result.content == "[1, 2]"
    assert model.requests[0].response_format is None
    assert "JSON Schema" in model.requests[0].system


async def test_json_without_a_schema_must_be_json(running: Runner) -> None:
    fenced = ScriptedModel(['```json\n{"a": 1}\n```'])
    assert (await running(Agent(model=fenced), output_format=OutputFormat.Json)).content == '{"a": 1}'
    repaired = ScriptedModel(["a is one", '{"a": 1}'])
    assert (await running(Agent(model=repaired), output_format=OutputFormat.Json)).content == '{"a": 1}'
    assert running.log.events == []
    with pytest.raises(ResultInvalid, match="not valid JSON"):
        await running(Agent(model=ScriptedModel(["a is one", "a=1"])), output_format=OutputFormat.Json)


async def test_a_repair_leaves_the_model_that_it_asks_as_it_was(running: Runner) -> None:
    parser = ScriptedModel(['{"city": "Bern", "people": 0}', GOOD])
    agent = Agent(model=ScriptedModel(["Bern has none."]), parser_model=parser)
    await running(agent, output_schema=SCHEMA)
    assert len(parser.requests) == 2, "the repair asks the parser"
    assert parser.model_type == ModelType.PARSER_MODEL, "so that later runs count its tokens as a parser's"


async def test_a_repairs_text_is_not_streamed(running: Runner) -> None:
    model = ScriptedModel(["a is one", '{"a": 1}'])
    await running(Agent(model=model), output_format=OutputFormat.Json, events_streaming=True)
    assert running.log.data("chunk") == ["a is one"]


@pytest.mark.parametrize(
    ("form", "word"),
    [("markdown", "Markdown"), ("html", "HTML alone"), ("text", "plain text"), ("voice", "read aloud")],
)
async def test_the_form_is_told_to_the_model(running: Runner, form: str, word: str) -> None:
    model = ScriptedModel([Pieces(["as ", "it is"])])
    assert (await running(Agent(model=model), output_format=form)).content == "as it is"
    assert word in model.requests[0].system


def test_each_provider_is_asked_in_its_own_way() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "result", "schema": SCHEMA}}
    assert schema_request(OpenAIChat(id="gpt-5"), SCHEMA).setting == form
    assert schema_request(OpenAIResponses(id="gpt-5"), SCHEMA).setting == form
    claude = schema_request(Claude(id="claude-sonnet-4-5"), SCHEMA).setting
    assert claude is not None
    assert claude["type"] == "json_schema"
    assert claude["schema"]["additionalProperties"] is False
    large = {**SCHEMA, "properties": {f"field-{n}": {"type": "string"} for n in range(5000)}}
    assert schema_request(Claude(id="claude-sonnet-4-5"), large).setting is None, "that would hold up the event loop"
    older = schema_request(Claude(id="claude-3-haiku-20240307"), SCHEMA)
    assert older.setting is None
    assert "JSON Schema" in (older.instruction or "")
    assert schema_request(ScriptedModel([]), SCHEMA).json_mode


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_any_json_is_read_with_and_without_a_fence(value: Any) -> None:
    text = json.dumps(value)
    assert json.loads(unfenced(text)) == value
    assert json.loads(unfenced(f"```json\n{text}\n```")) == value
    assert json.loads(unfenced(f"\n ```\n{text}```\n")) == value


@given(st.text())
def test_a_text_without_a_fence_stays_as_it_is(text: str) -> None:
    assert unfenced(f"x{text}") == f"x{text}"


@pytest.mark.parametrize("text", ["```" + "\n" * 300_000 + "x", "```" * 100_000, "```a b\n1```", "```", "``````"])
async def test_what_is_no_fence_is_text_and_takes_no_time(text: str) -> None:
    with pytest.raises(UnfitResult, match="not valid JSON"):
        await Wanted(OutputFormat.Json).text_of(text)


LAUGHS = {
    "$defs": {
        "a0": {"type": ["object", "string"]},
        **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 40)},
    },
    "$ref": "#/$defs/a39",
}
NESTED: dict[str, Any] = json.loads('{"not":' * 900 + "{}" + "}" * 900)


@pytest.mark.parametrize(
    ("schema", "answer", "said"),
    [
        (LAUGHS, "{}", "longer than 1 seconds"),
        ({"type": "string", "pattern": "^(a+)+$"}, json.dumps("a" * 60 + "!"), "longer than 1 seconds"),
        ({"$ref": "#"}, "{}", "refers to itself"),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "{}", "is not defined in the schema"),
        ({"$ref": "file:///etc/passwd"}, "{}", "is not defined in the schema"),
        ({"type": "string", "pattern": "(((("}, '"a"', "is not a 'regex'"),
        (NESTED, "{}", "nested too deeply"),
        ({"type": 1}, "{}", "not a valid JSON Schema"),
        ({"$schema": "http://127.0.0.1:1/meta", "type": "object"}, "[]", None),
    ],
)
async def test_a_hostile_schema_is_an_error_in_time_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any], answer: str, said: str | None
) -> None:
    want = Wanted(schema=schema)
    seconds = 1 if said and "longer" in said else 30
    monkeypatch.setattr(schemas, "BOUNDS", replace(schemas.BOUNDS, seconds=seconds))

    async def judge() -> str:
        await want.check()
        return await want.text_of(answer)

    judging, turns = asyncio.create_task(judge()), 0
    while not judging.done():
        await asyncio.sleep(0.01)
        turns += 1
    if said is None:
        assert isinstance(judging.exception(), UnfitResult)
    else:
        error = judging.exception()
        assert isinstance(error, ValidationError)
        assert error.field == "output_schema"
        assert said in error.description


@pytest.mark.parametrize("answer", ["[" * 100_000, "[" * 5000 + "]" * 5000, "1" * 10_000, "NaN", "\ud800"])
async def test_whatever_a_model_answers_is_a_result_or_unfit(answer: str) -> None:
    with contextlib.suppress(UnfitResult):
        json.loads(await Wanted(schema={"type": "array"}).text_of(answer))
