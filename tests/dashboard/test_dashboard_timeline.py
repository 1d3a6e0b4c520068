"""Rows of a timeline, made of events."""

from datetime import UTC, datetime

from worker.dashboard.timeline import Timeline
from worker.words.events import SubAgentTrigger, TaskUpdateEvent, ToolCallRequest, ToolCallResult
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
