"""Every sample of the documentation runs, with nothing changed but names: on a real database, with a real worker.

A sample that goes on from an earlier one (``task``, ``tasks``, ``agno_agent``, ``kb``) finds those names set.
"""

import asyncio
import re
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent as AgnoAgent

import worker
from tests.seeds import samples
from tests.seeds.website import SENTENCE, Website
from tests.support import wait_until
from worker import Agent, AgentExecutionStatus, Backend, KnowledgeBases, Task, Tasks, TaskUpdateEventType, User, types
from worker.face import bridge
from worker.words.agents import AgentRecord
from worker.words.events import NewEvent

pytestmark = pytest.mark.usefixtures("worker_process")

FILES = [
    "https://example.com/report.pdf",
    "https://example.com/chart.png",
    "https://example.com/data.csv",
    "https://example.com/logo.jpg",
]

WHAT_HAPPENED = [
    NewEvent(
        type=TaskUpdateEventType.Think,
        data={"id": "s", "title": "Plan", "confidence": 0.9, "thought": "first the sums", "action": "add"},
    ),
    NewEvent(
        type=TaskUpdateEventType.ToolCallRequest,
        data={"request_id": "r", "operation_id": "o", "tool_name": "add", "payload": {"a": 1}},
    ),
    NewEvent(
        type=TaskUpdateEventType.ToolCallResult,
        data={"request_id": "r", "operation_id": "o", "tool_name": "add", "payload": {"a": 1}, "result": "2"},
    ),
    NewEvent(
        type=TaskUpdateEventType.SubAgentTrigger,
        data={"agent_id": "helper", "query": "check it", "files": ["https://example.com/data.csv"]},
    ),
]


RULES = "# Security\n\nThe authentication methods are keys and tokens.\n\n# Food\n\nSoup is served at noon.\n"


class Stage:
    """Makes what a sample takes for granted, and keeps what it printed."""

    def __init__(self, site: Website, output: pytest.CaptureFixture[str]) -> None:
        self._site = site
        self._output = output
        self.printed = ""
        self.namespace: dict[str, Any] = {
            **{name: getattr(worker, name) for name in ("Task", "AgentExecutionStatus", "TaskUpdateEventType")},
            **{name: getattr(types, name) for name in ("ToolCallRequest", "ToolCallResult")},
        }

    async def run(self, name: str, **replaced: str) -> str:
        """Run a sample; answers what it printed."""
        await samples.run(name, self.namespace, {"https://example.com/": self._site.url, **_ids(replaced)})
        self.hear()
        return self.printed

    def hear(self) -> str:
        """What was printed so far."""
        self.printed += self._output.readouterr().out
        return self.printed

    async def idle(self, *files: str) -> Task:
        """A task that nobody works on."""
        urls = [url.replace("https://example.com/", self._site.url) for url in files]
        return await Tasks().acreate("agent-idle", "Look at this", urls, user_details=User(email="ann@example.com"))

    async def working(self) -> Task:
        """A task that the worker is about to do."""
        return await Tasks().acreate("agent-123", "Analyze", events_streaming=True)

    async def completed(self) -> Task:
        """A task that is done, with a log of all kinds of events."""
        task = await self.idle()
        await bridge.across(lambda platform: platform.tasks.push(task.id, WHAT_HAPPENED))
        task.result, task.status = "all added", AgentExecutionStatus.Completed
        return await task.asave()


def _ids(replaced: dict[str, str]) -> dict[str, str]:
    return {f'"{name.replace("_", "-")}"': f'"{value}"' for name, value in replaced.items()}


@pytest.fixture
async def stage(site: Website, capsys: pytest.CaptureFixture[str], platform_environment: Path) -> Stage:
    site.asked.clear()
    record = AgentRecord(id="agent-123", name="Analyst", unique_name="analyst")
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    return Stage(site, capsys)


run_here: set[str] = set()


def sample(*names: str) -> Any:
    """Say which samples a test runs."""
    run_here.update(names)
    return pytest.mark.parametrize("name", names)


@sample("task_aload", "task_load", "tasks_get_async", "tasks_get_sync")
async def test_a_task_is_loaded(stage: Stage, name: str) -> None:
    stage.namespace["tasks"] = Tasks()
    task = await stage.completed()
    printed = await stage.run(name, task_456=task.id)
    assert printed.startswith("Task status: completed\n")
    assert ("Task result: all added" in printed) == ("get" in name)


@sample("tasks_create_async", "tasks_create_sync")
async def test_a_task_is_created(stage: Stage, name: str) -> None:
    printed = await stage.run(name)
    task = await Task.aload(stage.namespace["task"].id)
    assert printed == f"Created task: {task.id}\n"
    assert task.events_streaming == (name == "tasks_create_async")


@sample("task_aset_status", "task_set_status")
async def test_a_status_is_set(stage: Stage, name: str) -> None:
    task = stage.namespace["task"] = await stage.idle()
    printed = await stage.run(name)
    assert task.status == ("executing" if name == "task_aset_status" else "completed")
    assert (await Task.aload(task.id)).status == task.status
    assert printed == ("Task status updated to: executing\n" if name == "task_aset_status" else "")


@sample("task_asave", "task_save")
async def test_a_result_is_saved(stage: Stage, name: str) -> None:
    task = stage.namespace["task"] = await stage.idle()
    printed = await stage.run(name)
    assert (await Task.aload(task.id)).result == "Processing completed successfully"
    assert stage.namespace["updated_task"] is task
    assert printed == ("Task saved with result: Processing completed successfully\n" if name == "task_asave" else "")


@sample("task_astop", "task_stop")
async def test_a_task_is_stopped(stage: Stage, name: str) -> None:
    task = stage.namespace["task"] = await stage.idle()
    assert "status: stopped" in await stage.run(name)
    assert (await Task.aload(task.id)).status == "stopped"


@sample("tasks_lifecycle_async", "tasks_lifecycle_sync")
async def test_a_task_is_stopped_and_updated(stage: Stage, name: str) -> None:
    stage.namespace["tasks"] = Tasks()
    task = await stage.idle()
    assert await stage.run(name, task_456=task.id) == f"Task {task.id} has been stopped\n"
    assert stage.namespace["updated_task"].status == "stopped"  # nothing overwrites it


@sample(
    "task_aevents",
    "task_events",
    "tasks_events_async",
    "tasks_events_sync",
    "types_event_type_usage",
    "types_event_usage",
    "types_tool_call_request_usage",
    "types_tool_call_result_usage",
    "types_type_checking",
)
async def test_events_are_followed_until_the_worker_is_done(stage: Stage, name: str) -> None:
    task = stage.namespace["task"] = await stage.working()
    printed = await stage.run(name)
    expected = {
        "task_aevents": "Task completed!",
        "task_events": "Event: task_finished",
        "tasks_events_async": "Task completed!",
        "tasks_events_sync": "Task completed!",
        "types_event_type_usage": "Task completed!",
        "types_event_usage": "Event: task_finished at ",
        "types_tool_call_request_usage": "Tool requested: total_sales\nPayload: {'region': 'north'}",
        "types_tool_call_result_usage": "Tool success: 3",
        "types_type_checking": "Tool: total_sales\nSuccess: True",
    }
    assert expected[name] in printed
    await wait_until(lambda: task.load(task.id).status.is_terminal, "the task is done")


@sample("task_get_files", "task_get_images", "task_to_message")
async def test_files_are_given_to_an_agent(stage: Stage, site: Website, name: str) -> None:
    stage.namespace["task"] = await stage.idle(*FILES)
    stage.namespace["agno_agent"] = AgnoAgent(**await Backend().aget_args())
    await stage.run(name)
    assert stage.namespace["result"].content == SENTENCE
    asked = str(site.asked)
    assert "north,3" in asked
    assert ("application/pdf;base64" in asked) == (name == "task_get_files")
    assert ("image/png;base64" in asked) == (name == "task_get_images")


@sample("task_get_human_readable_files")
async def test_readable_files_are_shown(stage: Stage, site: Website, name: str) -> None:
    stage.namespace["task"] = await stage.idle(*FILES)
    assert await stage.run(name) == f"File: {site.url}data.csv\nContent: region,sales\nnorth,3\nsouth,4\n\n"


@sample("tasks_files", "tasks_agno")
async def test_files_are_sorted_and_then_analyzed(stage: Stage, site: Website, name: str) -> None:
    stage.namespace["tasks"] = Tasks()
    printed = await stage.run("tasks_files")
    assert printed == "Found 1 PDF files\nFound 2 image files\nFound 1 readable files\n"
    if name == "tasks_agno":  # it goes on from the other one
        assert (await stage.run(name)).endswith(f"Analysis result: {SENTENCE}\n")
        assert "application/pdf;base64" in str(site.asked)


@sample("task_process_task_with_files")
async def test_a_task_with_files_is_processed(stage: Stage, site: Website, name: str) -> None:
    printed = await stage.run(name)
    assert " 1 PDF files\n 2 image files\n 1 readable files\n" in printed
    assert f"Analysis result: {SENTENCE}" in printed
    assert f"File: {site.url}data.csv\nContent preview: region,sales\nnorth,3" in printed


@sample("task_aget_activity_log", "task_get_activity_log")
async def test_the_activity_log_is_shown(stage: Stage, name: str) -> None:
    task = await stage.completed()
    printed = await stage.run(name, task_123=task.id)
    assert "user: Look at this\n" in printed
    assert "agent: all added\n" in printed
    assert ("Tool: add\nResult: 2\n" in printed) == (name == "task_aget_activity_log")


@sample("task_analyze_task_execution")
async def test_an_execution_is_analyzed(stage: Stage, name: str) -> None:
    task = await stage.completed()
    printed = await stage.run(name, task_456=task.id)
    for line in (
        f"Task ID: {task.id}",
        "User: ann@example.com",
        "user: Look at this",
        "Tool: add",
        " Result: 2",
        "Reasoning (think):",
        " Thought: first the sums",
        " Action: add",
        "Sub-agent triggered:",
        " Agent ID: helper",
        " Query: check it",
        " Files: https://example.com/data.csv",
        "Tool calls: 1",
        "Reasoning steps: 1",
        " - add: 1 times",
    ):
        assert f"{line}\n" in printed


@sample("task_manage_task_lifecycle")
async def test_a_lifecycle_is_managed(stage: Stage, name: str) -> None:
    printed = await stage.run(name)
    assert "Initial status: pending\n" in printed
    assert "Event: tool_call_request\nTool requested: total_sales\n" in printed
    assert printed.endswith('Event: task_finished\nFinal result: {"total": 3}\n')


@sample("task_update_task_status")
async def test_a_status_of_ones_own_is_kept(stage: Stage, name: str) -> None:
    task = await stage.idle()
    printed = await stage.run(name, task_456=task.id)
    assert printed == "Task updated: executing\nInternal status: Data validation completed\n"
    assert (await Task.aload(task.id)).result == "Custom processing completed"


@sample("task_track_internal_status")
async def test_an_internal_status_is_tracked(stage: Stage, name: str) -> None:
    printed = await stage.run(name, agent_123="agent-idle")  # else the worker sets the result as well
    assert "Internal Status: Order processing completed: 25 orders validated and shipped\n" in printed
    (item, *_) = await Tasks().alist("agent-idle", limit=1)
    assert item.internal_status is not None
    assert item.internal_status.startswith("Comprehensive order processing")
    assert item.result == "Successfully processed 25 customer orders"


@sample("task_safe_task_operations")
async def test_errors_are_handled(stage: Stage, name: str) -> None:
    assert await stage.run(name) == "Task not found\n"
    task = await stage.idle()
    printed = await stage.run(name, non_existent_task=task.id)
    assert printed.endswith("Task stopped successfully\n")


@sample("task_monitor_multiple_tasks")
async def test_several_tasks_are_monitored(stage: Stage, name: str) -> None:
    patient = [await Tasks().acreate("agent-patient", f"wait {number}") for number in range(2)]
    for task in patient:
        await wait_until(lambda task=task: task.load(task.id).status == "executing", "the worker has it")
    sample_run = asyncio.create_task(stage.run(name, agent_123="agent-patient"))
    await wait_until(lambda: "Monitoring 2 running tasks" in stage.hear(), "the sample monitors")
    for task in patient:
        await Tasks().aupdate(task.id, internal_status="go")
    printed = await sample_run
    assert {f"Task {task.id}: task_finished" for task in patient} <= set(printed.splitlines())


@sample("types_status_usage", "types_all_types")
async def test_a_status_is_compared(stage: Stage, name: str) -> None:
    stage.namespace["task"] = await stage.completed()
    assert (await stage.run(name)).startswith("Task finished")
    stage.namespace["task"] = await stage.idle()
    stage.printed = ""
    assert await stage.run(name) == ""


@sample("types_status_comparisons")
async def test_statuses_are_compared_by_functions(stage: Stage, name: str) -> None:
    await stage.run(name)
    completed, idle = await stage.completed(), await stage.idle()
    await idle.aset_status(AgentExecutionStatus.Executing)
    complete, running = stage.namespace["is_task_complete"], stage.namespace["is_task_running"]
    assert [complete(completed), complete(idle), running(completed), running(idle)] == [True, False, False, True]


@sample("types_output_format_usage", "types_output_format_selection")
async def test_an_output_format_is_chosen(stage: Stage, name: str) -> None:
    stage.namespace["agent"] = await Agent.aload("agent-123")
    await stage.run(name)
    assert (await Task.aload(stage.namespace["task"].id)).output_format == "json"


@sample("types_individual_types", "types_specific_module_types")
async def test_types_are_imported_from_where_they_are_said_to_be(stage: Stage, name: str) -> None:
    before = set(stage.namespace)
    await stage.run(name)
    imported = set(stage.namespace) - before - {"__builtins__"}
    assert imported
    assert all(stage.namespace[each] is getattr(types, each) for each in imported)


@sample("types_tool_invocation_usage")
async def test_the_result_of_a_tool_is_shown(stage: Stage, name: str) -> None:
    stage.namespace["tool"] = (await Agent.aload("agent-123")).tools.get_tool_by_name("repeat")  # the worker's
    printed = await stage.run(name)
    assert re.fullmatch(r"Result: \{'repeated': 'value'\}\nExecution time: 0\.\d+s\n", printed)


@sample("types_knowledge_base_usage")
async def test_what_a_knowledge_base_found_is_shown(stage: Stage, name: str) -> None:
    stage.namespace["kb"] = base = await KnowledgeBases().acreate("rules")
    await asyncio.to_thread(Path("rules.md").write_text, RULES)
    (document,) = await base.aadd_documents([Path("rules.md")])
    printed = await stage.run(name)
    assert re.fullmatch(r"Score: 0\.\d{3}\nContent: The authentication methods are keys and tokens\.\.\.\.\n", printed)
    assert [type(document), *map(type, await base.alist_documents())] == [types.KnowledgeBaseDocumentItem] * 2
    assert (document.id, document.added_at.tzinfo) == ((await base.alist_documents())[0].id, UTC)


def test_every_sample_is_run() -> None:
    assert run_here == set(samples.names())
