"""Conversion between rows and records: a new task into what is stored, and stored rows into tasks and events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from worker.engine.database.vault import NO_KEY, OTHER_KEY, Vault, is_sealed
from worker.engine.state.families import AWAITS
from worker.engine.state.messages import waiting
from worker.words.conversations import WAITS_FOR_TURN
from worker.words.errors import ConfigurationError
from worker.words.events import TaskUpdateEvent, typed_data
from worker.words.statuses import TERMINAL, WHOLE_TASK, AgentExecutionStatus, TaskUpdateEventType
from worker.words.task_lists import TaskItem
from worker.words.tasks import NewTask, TaskRecord, with_agents_model
from worker.words.texts import plain

Status = AgentExecutionStatus

ENDED = "_ended"
"""Key in a task's ``state``: the attempt that ended it by a save; its run continues and may still add fields."""

_IN_STATE = frozenset({"title", "source", "additional_context", "payload_extension"})
"""Settings that later saves may change, and which are therefore stored in ``state``."""


SECRETS = "_secrets"
"""Key in a task's ``settings``: sealed values that only its run may read."""


def split(new: NewTask, vault: Vault) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a new task into fixed settings and a changeable state, without defaults and with secrets sealed."""
    given = plain(new.model_dump(exclude_defaults=True, exclude={"id", "agent_id"}))
    secrets = {name: given.pop(name) for name in TaskRecord.SECRET if name in given}
    if secrets:
        given[SECRETS] = vault.seal(secrets)
    state = {name: given.pop(name) for name in _IN_STATE if name in given}
    return given, state


def assigned(row: Mapping[str, Any], vault: Vault) -> TaskRecord:
    """Compose the task for its own run, including its secrets.

    Raises:
        ConfigurationError: The stored secrets cannot be opened with the configured key.
    """
    settings: Mapping[str, Any] = row["settings"]
    secrets = {name: settings[name] for name in TaskRecord.SECRET if name in settings}  # from before sealing
    if SECRETS in settings:
        secrets |= vault.open(settings[SECRETS])
    task = task_record(row)
    sent = waiting(row["state"])
    return task.model_copy(update={**secrets, "messages_sent": sent}) if secrets or sent else task


def _public(settings: Mapping[str, Any]) -> dict[str, Any]:
    _check_open(settings)
    return {name: value for name, value in settings.items() if name not in TaskRecord.SECRET}


def _check_open(settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if the settings are still sealed."""
    if is_sealed(settings["input"]):
        raise ConfigurationError(f"{NO_KEY} (or it is set to another key: {OTHER_KEY})")


def task_record(row: Mapping[str, Any]) -> TaskRecord:
    """Compose the task from its row, as all readers except its run see it."""
    pending = row["status"] == Status.Pending
    return TaskRecord.model_validate(
        {
            **_public(row["settings"]),
            **row["state"],
            "id": row["id"],
            "agent_id": row["agent_id"],
            "organization_id": row["organization_id"],
            "status": row["status"],
            "internal_status": row["internal_status"],
            "result": row["result"],
            "finish_reason": row["finish_reason"],
            "execution_attempts": row["attempt"],
            "suspicions": row["suspicions"],
            "crashes": row["crashes"],
            "errors": row["errors"],
            "available_at": row["available_at"] if _has_a_time(row) else None,
            "waiting_for": _waiting_for(row) if pending else None,
            "last_event": row["last_event"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "started_at": row["started_at"],
            "paused_at": row["paused_at"] if row["status"] == Status.Paused else None,
            "finished_at": row["finished_at"],
        }
    )


def _has_a_time(row: Mapping[str, Any]) -> bool:
    """Return whether the task is pending until a given time, not for a provider, its children or its turn."""
    waits = row["waits_for"] or row["queued"] or row["state"].get(AWAITS)
    return row["status"] == Status.Pending and bool(row["attempt"]) and not waits


def _waiting_for(row: Mapping[str, Any]) -> str | None:
    if not row["queued"]:
        return row["state"].get("waiting_for")
    turn_of = row.get("turn_of")
    return f"{WAITS_FOR_TURN}: task {turn_of[0]} is {turn_of[1]}" if turn_of else WAITS_FOR_TURN


def task_item(row: Mapping[str, Any]) -> TaskItem:
    """Compose a list item from a task's row."""
    settings, state = row["settings"], row["state"]
    _check_open(settings)
    return TaskItem(
        id=row["id"],
        agent_id=row["agent_id"],
        organization_id=row["organization_id"],
        status=row["status"],
        internal_status=row["internal_status"],
        finish_reason=row["finish_reason"],
        user_id=row["user_id"],
        parent_task_id=settings.get("parent_execution"),
        triggering_agent_id=settings.get("triggering_agent_id"),
        source_node_type=state.get("source", "sdk"),
        error_code=state.get("error_code"),
        provider_code=state.get("provider_code"),
        result=row["result"],
        title=state.get("title"),
        text=(settings["input"].get("text") or "")[: TaskItem.TEXT_CHARACTERS],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def is_renewal(row: Mapping[str, Any]) -> bool:
    """Return whether an event gave its task new settings."""
    return isinstance(row["data"], dict) and "_settings_before" in row["data"]


class History:
    """A task's state at each of its events, computed by folding the changes in order.

    Args:
        row: The task's current row, the source of its fixed fields.
        renewals: Numbers of events that gave the task new settings, each with the settings before.
        model: The model fields that the task's agent declares.
    """

    def __init__(
        self, row: Mapping[str, Any], renewals: Mapping[int, dict[str, Any]], model: Mapping[str, str] | None = None
    ) -> None:
        self._row = row
        self._model = model or {}
        self._renewals = sorted(renewals.items())
        self._fields: dict[str, Any] = {"status": Status.Pending, "execution_attempts": 0}

    def fold(self, number: int, kind: str, time: datetime, data: Mapping[str, Any]) -> None:
        """Apply one more event; a field that it clears counts as never set."""
        self._fields |= {name: value for name, value in data.items() if not name.startswith("_")}
        for name in [name for name, value in data.items() if value is None]:
            self._fields.pop(name, None)
        self._fields |= {"updated_at": time, "last_event": number}
        status = data.get("status")
        if status is not None:
            waits = status == Status.Pending and self._fields["execution_attempts"]
            waits = waits and data.get("waiting_for") != WAITS_FOR_TURN
            self._fields["available_at"] = data.get("available_at", time) if waits else None
            self._fields["paused_at"] = time if status == Status.Paused else None
            self._fields["waiting_for"] = data.get("waiting_for")
        if status == Status.Executing:
            self._fields.setdefault("started_at", time)
        elif status in TERMINAL:
            self._fields["finished_at"] = time
        elif status == Status.Pending and kind != TaskUpdateEventType.TaskCreated:
            self._fields["finished_at"] = None
            if "result" in data:
                self._fields.pop("started_at", None)

    def task(self) -> TaskRecord:
        """Return the task as of the last event applied."""
        number = self._fields.get("last_event", 0)
        settings = next((before for at, before in self._renewals if at > number), self._row["settings"])
        task = TaskRecord.model_validate(
            {
                **_public(settings),
                **self._fields,
                "id": self._row["id"],
                "agent_id": self._row["agent_id"],
                "organization_id": self._row["organization_id"],
                "created_at": self._row["created_at"],
            }
        )
        return with_agents_model(task, self._model)

    def _as_it_stands(self) -> TaskRecord:
        """Return the task after its newest event, with a result that was added after the end and so has no event."""
        task = self.task()
        if task.result is not None or self._row["status"] not in TERMINAL:
            return task
        return task.model_copy(update={"result": self._row["result"]})

    def event(self, row: Mapping[str, Any]) -> TaskUpdateEvent:
        """Compose an event from its row, and apply it."""
        kind = TaskUpdateEventType(row["type"])
        data: Any = row["data"]
        if kind in WHOLE_TASK:
            self.fold(row["number"], kind, row["time"], data or {})
            data = self._as_it_stands() if row["number"] == self._row["last_event"] else self.task()
        else:
            data = typed_data(kind, data)
        return TaskUpdateEvent.model_construct(
            type=kind,
            task_id=row["task_id"],
            organization_id=self._row["organization_id"],
            time=row["time"],
            data=data,
            number=row["number"],
            attempt=row["attempt"],
        )
