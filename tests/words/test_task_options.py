"""Python, HTTP and the command line offer the same options of a new task, and the same filters of lists."""

from datetime import datetime
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import pytest
import typer.main
from pydantic import BaseModel

from worker.cli.invoke_command import HELD
from worker.cli.task_commands import tasks
from worker.engine.engine import Engine
from worker.face.options import TaskOptions
from worker.face.task_lists import TaskFilters
from worker.server.app import create_app
from worker.settings import Settings
from worker.words.task_lists import TaskFilter, TaskQuery
from worker.words.task_options import CREATE, FILTERS, Option
from worker.words.tasks import TaskSettings

OTHERWISE = {  # of Python, beside what the table has, and how the command line and HTTP say it
    "existing_task_id": ("--id", "id"),
    "user_details": ("--user-id", "input"),
    "tool_call_payload_extension": ("--payload-extension", "payload_extension"),
}
WHICH = {"agent_id": "--agent", "agents": "--agent", "user_id": "--user", "status": "--status", "statuses": "--status"}


def flags(command: str) -> set[str]:
    group: Any = typer.main.get_command(tasks)
    return {flag for parameter in group.commands[command].params for flag in parameter.opts}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return create_app(Engine("postgresql://nowhere"), Settings()).openapi()


@pytest.mark.parametrize(("table", "model"), [(CREATE, TaskSettings), (FILTERS, TaskFilter)])
def test_the_table_has_what_the_model_has(table: tuple[Option, ...], model: type[BaseModel]) -> None:
    assert {each.name for each in table} == set(model.model_fields)
    for each in table:
        annotation = model.model_fields[each.name].annotation
        union = get_args(annotation) if get_origin(annotation) is UnionType else ()
        kinds = [kind for kind in union if kind is not NoneType] or [annotation]
        assert each.kind is (get_origin(kinds[0]) or kinds[0]) or issubclass(each.kind, str), (
            f"{each.name}: {annotation}"
        )


def test_python_takes_them() -> None:
    assert set(TaskOptions.__annotations__) == {each.name for each in CREATE} | OTHERWISE.keys()
    assert set(TaskFilters.__annotations__) | {"agent_id"} == set(TaskQuery.model_fields)


def test_the_command_line_takes_them() -> None:
    made = {f"--{each.flag or each.name.replace('_', '-')}" for each in CREATE}
    assert made | {flag for flag, _ in OTHERWISE.values()} <= flags("create")
    filters = {f"--{each.flag or each.name.replace('_', '-')}" for each in FILTERS}
    assert filters | set(WHICH.values()) <= flags("list")
    assert HELD.keys() <= {each.name for each in CREATE}


def test_http_takes_them_and_says_what_each_is_for(openapi: dict[str, Any]) -> None:
    body = openapi["components"]["schemas"]["CreateBody"]["properties"]
    assert {each.name: each.text for each in CREATE}.items() <= {
        n: f.get("description") for n, f in body.items()
    }.items()
    assert {field for _, field in OTHERWISE.values()} <= body.keys()
    path = "/agent-execution/executions/history"
    asked = {each["name"]: each.get("description") for each in openapi["paths"][path]["get"]["parameters"]}
    assert {each.name: each.text for each in FILTERS}.items() <= asked.items()
    assert {"agent_id", "user_id", "status"} <= asked.keys()


def test_values_of_a_kind_are_read() -> None:
    query = TaskQuery(created_after=datetime(2026, 11, 1))  # noqa: DTZ001 - without a zone on purpose
    assert query.created_after is not None
    assert query.created_after.isoformat() == "2026-11-01T00:00:00+00:00"
