"""The columns of worker.tasks."""

TASK_COLUMNS = """
    t.id, t.agent_id, t.organization_id, t.status, t.internal_status, t.attempt, t.suspicions, t.crashes, t.errors,
    t.available_at, t.last_event, t.created_at, t.updated_at, t.started_at, t.paused_at, t.finished_at,
    to_json(t.result) as result, t.settings, t.state, t.finish_reason, t.waits_for,
    t.queued
"""
"""What ``task_record`` wants of a row of worker.tasks t; a text as JSON, which is opened where it is sealed."""
