"""What a platform sends, however broken: it is read, or refused by one error; nothing else ever comes of it."""

import json
from typing import Any

import pytest
from httpx_sse import ServerSentEvent
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from worker.remote.clients.dialect import Dialect
from worker.remote.clients.following import Following
from worker.remote.http.addresses import Addresses
from worker.remote.http.refusals import Subject, body_of, refusal
from worker.remote.http.transport import Transport
from worker.remote.native.presence import event_data, is_unknown
from worker.remote.native.verb_client import results_of
from worker.wire import records as wire_records
from worker.wire.deliveries import delivery_of
from worker.wire.records import UnreadableRecord, assignment_of, decode, entries, event_of, record_of, task_of
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.events import TaskUpdateEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.texts import encode

TEXTS = st.text(max_size=12) | st.sampled_from(["", "t1", "pending", "completed", "2026-01-01T00:00:00Z", "\0", "٣"])
JSONS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def records(*models: type[Any]) -> st.SearchStrategy[Any]:
    """Objects with the names of real fields, and anything in them."""
    names = sorted({name for model in models for name in model.model_fields})
    fixed = {"id": TEXTS | JSONS, "agent_id": TEXTS, "created_at": TEXTS, "status": TEXTS, "input": JSONS}
    return st.dictionaries(st.sampled_from(names), JSONS, max_size=6).flatmap(
        lambda fields: st.fixed_dictionaries({}, optional=fixed).map(lambda more: {**fields, **more})
    )


TASK = {"id": "t", "agent_id": "a", "created_at": "2026-01-01T00:00:00Z", "status": "pending", "input": {"text": "x"}}


@given(records(TaskRecord) | JSONS | JSONS.map(lambda value: {**TASK, "tokens": value, "title": value}))
@example({**TASK, "agent_version": 7, "output_format": "parchment", "used_tools": None})
def test_a_task_is_read_or_unreadable(data: Any) -> None:
    try:
        assert isinstance(task_of(data), TaskRecord)
    except UnreadableRecord:
        return


@pytest.mark.parametrize("model", wire_records.RECORDS, ids=lambda model: model.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_any_record_is_read_or_unreadable(model: type[BaseModel], data: st.DataObject) -> None:
    try:
        assert isinstance(record_of(model, data.draw(records(model) | JSONS)), model)
    except UnreadableRecord:
        return


EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from([*TaskUpdateEventType, "unheard_of"]) | JSONS},
    optional={"task_id": TEXTS, "time": st.just("2026-01-01T00:00:00Z") | JSONS, "data": records(TaskRecord) | JSONS},
)


@given(EVENTS | JSONS, st.none() | st.integers())
def test_an_event_is_read_or_passed_over(data: Any, number: int | None) -> None:
    event = event_of(data, number)
    assert event is None or isinstance(event, TaskUpdateEvent)


@given(st.binary(max_size=40) | st.text(max_size=40))
@example(b"[" * 5000)
@example("\ud800")
def test_what_is_no_json_is_unreadable(content: bytes | str) -> None:
    try:
        decode(content, "a task")
    except UnreadableRecord:
        return


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.floats() | st.text(st.characters(exclude_categories=[]), max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(ANYTHING)
@example({"\ud800": float("nan"), "b": b"\xff", "s": {1, 2}})
def test_whatever_is_sent_is_json(value: Any) -> None:
    json.loads(encode(value))


@given(st.fixed_dictionaries({}, optional={"task": records(TaskRecord) | JSONS, "attempt": JSONS}))
def test_an_assignment_is_read_or_unreadable(data: Any) -> None:
    try:
        assert isinstance(assignment_of(data).attempt, int)
    except UnreadableRecord:
        return


DELIVERIES = st.fixed_dictionaries(
    {"event": EVENTS, "task": st.just(TASK) | JSONS},
    optional={
        "subscription": JSONS | st.fixed_dictionaries({"handler": TEXTS, "event_type": TEXTS, "agent_id": JSONS}),
        "subscription_id": JSONS | st.floats(),
        "claim": JSONS,
        "tries": JSONS,
    },
)


@given(DELIVERIES)
def test_a_delivery_is_read_or_unreadable(data: Any) -> None:
    try:
        delivery_of(data)
    except UnreadableRecord:
        return


@given(JSONS | st.fixed_dictionaries({"results": JSONS}), st.integers(0, 3))
def test_answers_to_verbs_are_read_or_unreadable(answer: Any, count: int) -> None:
    for read in (lambda: results_of(answer, count), lambda: entries(answer, "assignments")):
        try:
            assert all(isinstance(each, dict) for each in read())
        except UnreadableRecord:
            continue


@given(JSONS.map(json.dumps) | st.text(max_size=30), st.sampled_from([200, 404, 500]))
@example("[" * 100_000, 200)
@example('{"results": [{"error": {"status_code": 404}}]}', 200)
def test_hints_and_answers_to_heartbeats_are_read_or_passed_over(text: str, status: int) -> None:
    assert isinstance(event_data(text), dict)
    assert is_unknown(status, text.encode()) in (True, False)


@given(JSONS.map(json.dumps) | st.text(max_size=600), st.integers(400, 599), st.booleans())
@example('{"detail": [{"loc": "x"}]}', 422, True)
@example('{"description": {}, "retry_after": "soon", "field": 7}', 503, False)
def test_every_error_becomes_one_of_ours(text: str, status: int, about_a_task: bool) -> None:
    subject = Subject(task_id="t", attempt=1) if about_a_task else Subject()
    assert isinstance(refusal(status, body_of(text), subject, "the platform"), ModuleException)


IDS = st.text(max_size=8) | st.integers().map(str) | st.sampled_from(["9" * 5000, "²", "٣", "-1", "1e3"])


@given(st.lists(st.tuples(IDS, JSONS.map(json.dumps) | st.text(max_size=20) | EVENTS.map(json.dumps)), max_size=6))
def test_a_stream_of_events_is_read_or_passed_over(sent: list[tuple[str, str]]) -> None:
    transport = Transport(Addresses.of("http://127.0.0.1:1", "default"), None)
    following = Following(transport, Dialect(transport), "/t", "t", get=_never, after=0)
    numbers: list[int] = []
    for number, data in sent:
        event = following._new(ServerSentEvent(event="message", data=data, id=number))
        if event is not None and event.number is not None and number.isascii() and number.isdecimal():
            numbers.append(event.number)
    assert numbers == sorted(set(numbers))


async def _never(_: str) -> TaskRecord:
    raise AssertionError("nothing is asked")


@given(st.text(max_size=40) | st.text(max_size=20).map(lambda rest: f"http://{rest}"), st.text(max_size=10))
def test_an_address_is_usable_or_refused(base: str, organization: str) -> None:
    try:
        addresses = Addresses.of(base or None, organization)
    except ConfigurationError:
        return
    assert addresses.streams.startswith("http")


@pytest.mark.parametrize("count", [2, 3])
def test_too_few_results_are_unreadable(count: int) -> None:
    with pytest.raises(UnreadableRecord, match=f"1 results for {count} verbs"):
        results_of({"results": [{}]}, count)
