"""Rows of a timeline, made of events."""

from datetime import UTC, datetime

from worker.dashboard.timeline import Timeline
from worker.words.events import (
    CustomData,
    SubAgentTrigger,
    TaskUpdateEvent,
    ToolCallRequest,
    ToolCallResult,
    WorkflowStep,
)
from worker.words.statuses import TaskUpdateEventType

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, kind: TaskUpdateEventType, data: object) -> TaskUpdateEvent:
    return TaskUpdateEvent(type=kind, task_id="t", organization_id="o", time=NOW, data=data, number=number)


def test_what_a_member_does_stands_below_what_it_was_handed() -> None:
    own = {"request_id": "a", "operation_id": "a", "tool_name": "plan"}
    members = {"request_id": "b", "operation_id": "b", "tool_name": "look_up", "graph_node_id": "researcher"}
    alone = {"request_id": "c", "operation_id": "c", "tool_name": "read", "graph_node_id": "researcher"}
    timeline = Timeline(NOW)
    for number, (kind, data) in enumerate(
        [
            (TaskUpdateEventType.ToolCallRequest, ToolCallRequest.model_validate(own)),
            (TaskUpdateEventType.SubAgentTrigger, SubAgentTrigger(agent_id="researcher", query="find x")),
            (TaskUpdateEventType.ToolCallRequest, ToolCallRequest.model_validate(members)),
            (TaskUpdateEventType.ToolCallResult, ToolCallResult.model_validate(members)),
            (TaskUpdateEventType.ToolCallResult, ToolCallResult.model_validate(alone)),
        ],
        1,
    ):
        timeline.take(event(number, kind, data))
    assert [(row.title, row.depth) for row in timeline.rows] == [
        ("plan", 0),
        ("researcher", 1),
        ("look_up", 1),
        ("read", 1),
    ]


def test_a_workflows_steps_are_rows_that_end() -> None:
    def step(name: str, phase: str, *within: str, **more: object) -> WorkflowStep:
        return WorkflowStep.model_validate({"name": name, "path": [*within, name], "phase": phase, **more})

    timeline = Timeline(NOW)
    told = [
        step("both", "started", kind="parallel"),
        step("left", "started", "both"),
        "some text",
        step("left", "completed", "both"),
        step("right", "continued", "both"),
        step("both", "failed", kind="parallel", error="it broke"),
        step("twice", "started", kind="loop"),
        step("twice", "started", kind="loop", iteration=1),
        step("twice", "completed", kind="loop", iteration=1),
        step("twice", "completed", kind="loop"),
    ]
    for number, data in enumerate(told, 1):
        kind = TaskUpdateEventType.Chunk if isinstance(data, str) else TaskUpdateEventType.Step
        timeline.take(event(number, kind, data))
    timeline.take(event(11, TaskUpdateEventType.Custom, CustomData(name="citations", data={"urls": []})))
    shown = [(row.title, row.depth, row.is_running, row.is_error, row.text) for row in timeline.rows]
    assert shown == [
        ("both (parallel)", 0, False, True, "it broke"),
        ("left", 1, False, False, ""),
        ("Model", 0, False, False, "some text"),
        ("right, again", 1, False, False, ""),
        ("twice (loop)", 0, False, False, ""),
        ("twice, round 1", 0, False, False, ""),
        ("citations", 0, False, False, ""),
    ]
