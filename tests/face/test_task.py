import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from worker.current import Run, run_in_hand
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.changes import checked, result_text
from worker.face.configuration import Configuration
from worker.face.task import Task
from worker.face.tasks import Tasks
from worker.words.agents import AgentRecord
from worker.words.errors import LeaseLost, TaskNotFound, ValidationError
from worker.words.events import NewEvent, ToolCallRequest
from worker.words.statuses import AgentExecutionStatus, LLMReasoningEffort, TaskUpdateEventType
from worker.words.tasks import Tokens
from worker.words.work import Demand, WorkerCard

pytestmark = pytest.mark.usefixtures("place")


class Answer(BaseModel):
    total: int
    city: str


async def pushed(task: Task, *events: NewEvent) -> None:
    await bridge.across(lambda platform: platform.tasks.push(task.id, events))


async def test_a_save_sends_only_what_changed() -> None:
    mine = await Tasks().acreate("agent", "x", title="first")
    theirs = await Task.aload(mine.id)
    theirs.title = "second"
    await theirs.asave()
    mine.result = "done"
    assert await mine.asave() is mine
    assert (mine.title, mine.result) == ("second", "done")


async def test_a_change_inside_a_list_or_model_is_a_change() -> None:
    task = await Tasks().acreate("agent", "x", payload_extension={"a": 1})
    task.used_tools.append("search")
    task.tokens = Tokens(prompt_tokens=1)
    await task.asave()
    task.tokens.prompt_tokens += 1
    await task.asave()
    again = await Task.aload(task.id)
    assert (again.used_tools, again.tokens) == (["search"], Tokens(prompt_tokens=2))


async def test_a_save_without_changes_answers_the_task_as_it_stands() -> None:
    mine = await Tasks().acreate("agent", "x")
    await Tasks().aupdate(mine.id, internal_status="from elsewhere")
    events = mine.last_event
    assert (await mine.asave()).internal_status == "from elsewhere"
    assert mine.last_event == events + 1


@pytest.mark.parametrize("name", ["agent_id", "events_streaming", "input", "execution_attempts"])
async def test_a_fixed_field_is_refused_by_name(name: str) -> None:
    task = await Tasks().acreate("agent", "x")
    setattr(task, name, "other")
    task.result = "not stored"
    with pytest.raises(ValidationError, match=name) as refused:
        await task.asave()
    assert refused.value.field == name
    assert (await Task.aload(task.id)).result is None


async def test_a_change_inside_a_fixed_field_is_seen_too() -> None:
    task = await Tasks().acreate("agent", "x")
    task.input.text = "y"
    with pytest.raises(ValidationError, match="input is set"):
        await task.asave()


async def test_internal_status_has_255_characters_at_most() -> None:
    task = await Tasks().acreate("agent", "x")
    task.internal_status, task.result = "é" * 256, "not stored"
    with pytest.raises(ValidationError, match="256 characters"):
        await task.asave()
    assert (await Task.aload(task.id)).result is None
    task.internal_status = "é" * 255
    await task.asave()
    assert (await Task.aload(task.id)).internal_status == "é" * 255


async def test_an_unknown_status_is_refused() -> None:
    task = await Tasks().acreate("agent", "x")
    with pytest.raises(ValidationError, match="status") as refused:
        await task.aset_status("finished")  # type: ignore[arg-type] # that is the test
    assert refused.value.field == "status"
    assert task.status is AgentExecutionStatus.Pending


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (None, None),
        ({"a": [1, None], "ü": "é"}, '{"a":[1,null],"ü":"é"}'),
        ([1, 2], "[1,2]"),
        (Answer(total=2, city="Köln"), '{"total":2,"city":"Köln"}'),
        ([Answer(total=1, city="x")], '[{"total":1,"city":"x"}]'),
        (3.5, "3.5"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        ({"bad": float("nan")}, '{"bad":null}'),
    ],
)
def test_a_result_becomes_text(value: Any, text: str | None) -> None:
    assert result_text(value) == text


def test_a_result_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValidationError, match="result"):
        result_text(loop)


@pytest.mark.parametrize(
    "value", [{1: "a", "1": "b"}, [{"x": ({True: 1, "true": 2},)}], {1: "a", 1.5: "b", "1.5": "c"}]
)
def test_keys_that_are_the_same_in_json_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"result has 2 keys that are all '.+' in JSON"):
        result_text(value)
    assert result_text({1: "a", "2": {None: "b"}}) == '{"1":"a","2":{"None":"b"}}'


async def test_a_model_as_result_is_stored_as_json_text_and_read_back_as_text() -> None:
    task = await Tasks().acreate("agent", "x")
    task.result = Answer(total=2, city="Köln")
    await task.asave()
    assert task.result == '{"total":2,"city":"Köln"}' == (await Task.aload(task.id)).result


async def test_what_is_changed_inside_a_record_is_seen_a_field_of_the_users_own_too() -> None:
    task = await Tasks().acreate("agent", "x")
    task.deep_planning.started = True
    assert task.unsaved() == {"deep_planning": task.deep_planning.model_dump()}
    task.input.text = "y"
    with pytest.raises(ValidationError, match="input is set"):
        task.unsaved()
    task.input.text = "x"
    task.input.colour = "red"  # pyright: ignore[reportAttributeAccessIssue] # inputs take any field
    with pytest.raises(ValidationError, match="input is set"):
        task.unsaved()


async def test_set_status_saves_the_status_alone() -> None:
    task = await Tasks().acreate("agent", "x")
    task.result = "later"
    await task.aset_status(AgentExecutionStatus.InProgress)
    assert (task.status, task.result) == (AgentExecutionStatus.Executing, "later")
    assert (await Task.aload(task.id)).result is None
    await task.asave()
    assert (await Task.aload(task.id)).result == "later"


async def test_what_is_changed_while_a_save_is_under_way_stays_changed() -> None:
    task = await Tasks().acreate("agent", "x")
    task.result, task.internal_status = "first", "sent"
    saving = asyncio.create_task(task.asave())
    await asyncio.sleep(0)  # the save has taken what it sends
    task.result = "second"
    await saving
    assert (task.result, task.internal_status) == ("second", "sent")
    assert (await Task.aload(task.id)).result == "first"
    assert task.unsaved() == {"result": "second"}
    await task.asave()
    assert (await Task.aload(task.id)).result == "second"


async def test_a_stop_decides_the_status_whatever_was_set_before() -> None:
    task = await Tasks().acreate("agent", "x")
    task.status, task.title = AgentExecutionStatus.Completed, "kept"
    assert (await task.astop()).status is AgentExecutionStatus.Stopped
    assert task.unsaved() == {"title": "kept"}


def test_an_unknown_change_suggests_the_name_that_was_meant() -> None:
    with pytest.raises(ValidationError, match="did you mean 'result'"):
        checked({"resutl": "x"})


async def test_a_task_asked_for_another_looks_where_it_lives_itself(database_url: str) -> None:
    elsewhere = Configuration(database_url=database_url, organization_id="elsewhere")
    task = await Tasks(elsewhere).acreate("agent", "x")
    assert (await task.aload(task.id)).configuration is elsewhere
    usual = await Tasks().acreate("agent", "x")
    assert usual.configuration.organization_id == "default"
    assert usual.origin is None, "looking where it lives changes nothing of where it is saved"
    assert task.load(task.id, elsewhere).id == task.id
    with pytest.raises(TaskNotFound):
        await Task.aload(task.id)


async def test_every_async_method_has_its_sync_twin() -> None:
    task = await Tasks().acreate("agent", "x")
    assert Task.load(task.id).status is AgentExecutionStatus.Pending
    task.internal_status = "half"
    assert task.save() is task
    task.set_status(AgentExecutionStatus.InProgress)
    assert task.stop().status is AgentExecutionStatus.Stopped
    assert task.retry().status is AgentExecutionStatus.Pending
    assert task.stop().status is AgentExecutionStatus.Stopped
    assert [event.number for event in task.events()] == list(range(1, task.last_event + 1))
    assert task.get_activity_log().id == task.id


async def test_events_carry_whole_tasks_that_can_be_worked_with() -> None:
    task = await Tasks().acreate("agent", "x")
    await pushed(
        task,
        NewEvent(
            type=TaskUpdateEventType.ToolCallRequest,
            data={"request_id": "r", "operation_id": "o", "tool_name": "search", "payload": {"q": 1}},
        ),
    )
    await task.astop()
    events = [event async for event in task.aevents()]
    assert [event.type for event in events] == ["task_created", "tool_call_request", "task_finished"]
    created, called, finished = (event.data for event in events)
    assert isinstance(created, Task)
    assert isinstance(called, ToolCallRequest)
    assert (created.status, called.tool_name, finished.status) == ("pending", "search", "stopped")
    assert (await created.asave()).status is AgentExecutionStatus.Stopped
    assert [event.number async for event in task.aevents(after=1)] == [2, 3]


async def test_leaving_the_events_early_leaves_the_task_alone() -> None:
    task = await Tasks().acreate("agent", "x")
    async for event in task.aevents():
        assert event.type == "task_created"
        break
    for event in task.events():
        assert event.type == "task_created"
        break
    assert (await task.asave()).status is AgentExecutionStatus.Pending


class TestWithinARun:
    """What a handler's saves carry."""

    @pytest.fixture
    async def run(self, engine: Engine) -> Run:
        await engine.work.register(WorkerCard(id="w", name="w", any_agent=True))
        await Tasks().acreate("agent", "x")
        (assignment,) = await engine.work.assignments("w", lambda: Demand(1, others=1), 10)
        return Run(assignment.task.id, "agent", engine.work, attempt=assignment.attempt)

    async def test_a_save_carries_the_attempt_also_on_a_task_loaded_afresh(self, run: Run) -> None:
        token = run_in_hand.set(run)
        try:
            task = await Task.aload(run.task_id)
            task.result = "mine"
            await task.asave()
            await asyncio.to_thread(lambda: Task.load(run.task_id).set_status(AgentExecutionStatus.Executing))
            run.attempt = (run.attempt or 0) + 7
            task.result = "stale"
            with pytest.raises(LeaseLost):
                await task.asave()
            with pytest.raises(LeaseLost):
                await Tasks().aupdate(run.task_id, result="stale")
        finally:
            run_in_hand.reset(token)
        assert (await Task.aload(run.task_id)).result == "mine"

    async def test_a_save_of_another_task_does_not(self, run: Run) -> None:
        other = await Tasks().acreate("agent", "y")
        run.attempt = 99
        token = run_in_hand.set(run)
        try:
            other.result = "free"
            await other.asave()
        finally:
            run_in_hand.reset(token)
        assert (await Task.aload(other.id)).result == "free"


async def test_the_attempts_of_a_task_are_told_async_and_sync() -> None:
    task = await Tasks().acreate("agent", "x")
    card = WorkerCard(id="w", name="the worker", agents=("agent",))
    await bridge.across(lambda platform: platform.work.register(card))
    await bridge.across(lambda platform: platform.work.assignments("w", lambda: Demand(1, {"agent": 1}), 5))
    (attempt,) = await task.aattempts()
    assert (attempt.number, attempt.worker, attempt.outcome) == (1, "the worker", "running")
    assert task.attempts() == [attempt]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("half \ud83d", "half \ud83d"),  # text stays as it is until it is stored
        ({"a\ud83d": ["\ud83d", Answer(total=1, city="\ud83d")]}, '{"a\ufffd":["\ufffd",{"total":1,"city":"\ufffd"}]}'),
    ],
)
def test_half_a_surrogate_pair_is_no_reason_to_lose_a_result(value: Any, text: str) -> None:
    assert result_text(value) == text


async def test_a_task_names_the_model_that_counts() -> None:
    record = AgentRecord(
        id="ann",
        name="Ann",
        unique_name="ann",
        model_provider="openai",
        model_name="gpt-5",
        llm_reasoning_effort=LLMReasoningEffort.Low,
    )
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    plain = await Tasks().acreate("ann", "x")
    own = await Tasks().acreate("ann", "x", llm_model_name="claude-sonnet-4-6", llm_reasoning_effort="high")
    harder = await Tasks().acreate("ann", "x", think_mode="harder")
    for task in (plain, await Task.aload(plain.id), await plain.asave()):
        assert (task.llm_model_provider, task.llm_model_name, task.llm_reasoning_effort) == ("openai", "gpt-5", "low")
        assert task.own_setting("llm_model_name") is None  # a handler's own model is not replaced by it
        assert task.reasoning_effort is None
        assert task.unsaved() == {}
    loaded = await Task.aload(own.id)
    assert (loaded.llm_model_provider, loaded.llm_model_name, loaded.llm_reasoning_effort) == (
        None,
        "claude-sonnet-4-6",
        "high",
    )
    assert (await Task.aload(harder.id)).reasoning_effort == "high"
    events = [event async for event in bridge.aiterate(lambda platform: platform.tasks.events(plain.id, follow=False))]
    assert Task.of(events[0].data).llm_model_name == "gpt-5"
