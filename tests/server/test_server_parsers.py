"""What clients send, however broken: it is taken, or refused by one error; nothing else ever comes of it."""

import json
from typing import Any

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.remote.test_remote_parsers import ANYTHING, JSONS, TASK, TEXTS, records
from worker.server.bare import agent, fit
from worker.server.identity.links import Links
from worker.server.limits.request_bounds import PathMiddleware
from worker.server.routes import bodies
from worker.server.routes.events import HIGHEST, _number
from worker.server.streams import bare_deliveries
from worker.wire import bodies as wire_bodies
from worker.wire import deliveries, forms, verbs, workers
from worker.words.agents import AgentRecord
from worker.words.digests import digest_of
from worker.words.errors import ModuleException, ValidationError
from worker.words.ids import is_id
from worker.words.tasks import NewTask, TaskRecord

FORMS = [
    each
    for module in (verbs, workers, deliveries)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, forms.Form) and each is not forms.Form
]
BODIES = [
    wire_bodies.CreateBody,
    bodies.PushedEvent,
    bodies.ReportBody,
    bodies.MetricsBody,
    bodies.AllowanceBody,
    bodies.Changes,
    bodies.AgentBody,
    bodies.WorkBody,
    bodies.WorkerReport,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_a_verb_is_read_or_refused_by_the_fields_name(form: type[forms.Form], data: st.DataObject) -> None:
    verb = data.draw(records(form) | st.dictionaries(TEXTS, JSONS, max_size=3))
    refused: ValidationError | None = None
    try:
        assert isinstance(forms.read(form, verb), form)
    except ValidationError as error:
        refused = error
    assert refused is None or refused.field


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_a_body_is_read_or_refused(body: type[pydantic.BaseModel], data: st.DataObject) -> None:
    value = data.draw(JSONS | records(body if body is not bodies.Changes else TaskRecord))
    try:
        body.model_validate(value)
    except pydantic.ValidationError:
        return


@given(records(NewTask).map(lambda fields: {**fields, "input": {"text": "x"}}), TEXTS)
def test_a_create_body_is_a_wish_or_refused(fields: dict[str, Any], agent_id: str) -> None:
    try:
        wire_bodies.CreateBody.model_validate(fields).new_task(agent_id, None)
    except (pydantic.ValidationError, ModuleException):
        return


@given(st.none() | TEXTS, st.none() | TEXTS | st.just("task_finished,task_created,task_finished"))
def test_an_announcement_is_read_or_refused(handler: str | None, events: str | None) -> None:
    try:
        wishes = bare_deliveries.announced(handler, events, "a")
    except ValidationError:
        return
    assert len({each.event_type for each in wishes}) == len(wishes)


@given(st.none() | TEXTS | st.integers().map(str) | st.just("9" * 5000))
def test_a_last_event_id_is_a_number_or_nothing(text: str | None) -> None:
    assert 0 <= _number(text) <= HIGHEST


@given(records(TaskRecord) | JSONS.filter(lambda value: isinstance(value, dict)))
@example({**TASK, "deep_planning": {"tasks": ["no step"]}})
@example({**TASK, "input": {"text": 1, "files": [{}], "user": "me"}})
def test_a_task_for_a_public_worker_fits_its_tables_or_is_said_not_to(told: dict[str, Any]) -> None:
    fitted, problem = fit(told)
    assert "configuration" not in fitted
    assert problem is None or problem.startswith("the task's ")


@given(records(AgentRecord), st.none() | TEXTS)
def test_an_agent_for_the_public_client_names_a_model(told: dict[str, Any], model: str | None) -> None:
    fitted = agent(told, model)
    assert fitted["model_provider"]
    assert fitted["model_name"] is not None


@given(st.lists(st.sampled_from(["", "agents", "list", "acme", "agent-controller", "..", "a b", "files", "x" * 200])))
def test_an_address_names_an_organization_or_none(parts: list[str]) -> None:
    routes = [Route(path, _page) for path in ("/agents/list", "/files/{name}")]
    doors = PathMiddleware(_nobody, routes)
    organization, path = doors._split({"type": "http", "method": "GET", "path": "/" + "/".join(parts)})
    assert organization is None or is_id(organization)
    assert path.startswith("/")


async def _page(request: Request) -> Response:
    raise AssertionError("nothing is asked")


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nothing is passed on")


REFERENCES = st.sampled_from(["a" * 64, "0" * 63, ""]).flatmap(
    lambda digest: TEXTS.map(lambda name: f"worker:{digest}/{name}")
)


FILES = st.lists(REFERENCES | TEXTS, max_size=3)


@given(FILES, st.lists(st.fixed_dictionaries({"url": REFERENCES | JSONS}) | JSONS, max_size=3), FILES, JSONS)
def test_signing_changes_nothing_but_a_tasks_own_references(
    files: list[str], attachments: list[Any], urls: list[str], others: Any
) -> None:
    links = Links(None, 3600)  # type: ignore[arg-type] - it is asked for nothing
    links._current = (b"secret",)
    made = [{"name": "f", "url": url} for url in urls]
    given = {"text": "x", "files": files, "attachments": attachments}
    told = json.loads(json.dumps({"input": given, "artifacts": made, "output_schema": others}))
    signed = links.in_task(told, "default", "http://x")
    assert signed["output_schema"] == others
    assert signed["input"]["text"] == "x"
    assert len(signed["input"]["files"]) == len(files)
    assert not any(each.startswith(f"worker:{'a' * 64}") for each in signed["input"]["files"])
    assert not links.fits("default", "a" * 64, "name", 2**53, json.dumps(told))


@given(st.text(st.characters(exclude_categories=[])))
def test_a_key_is_any_text(text: str) -> None:
    assert len(digest_of(text)) == 64


@given(ANYTHING)
def test_what_is_too_deep_is_refused_and_nothing_else(value: Any) -> None:
    wire_bodies.check_depth(value)
