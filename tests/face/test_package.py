import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import worker
import worker.types
from worker import aliases

ROOT = Path(worker.__file__).parent
HEAVY = ("agno", "psycopg", "fastapi", "httpx", "pydantic", "structlog", "asyncio")


def in_a_process(program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, worker; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert in_a_process(program).strip() == "[]"


def test_importing_handlers_tools_loads_neither_agno_nor_a_database() -> None:
    program = (
        "import sys; from worker import Task, Tasks, TaskUpdateEventType, on, run_agent, Backend, Context;"
        "print([name for name in ('agno', 'psycopg', 'fastapi', 'httpx', 'worker.engine') if name in sys.modules])"
    )
    assert in_a_process(program).strip() == "[]"


def test_importing_the_package_takes_at_most_50_ms_over_pydantic() -> None:
    program = (
        "import pydantic, pydantic_settings, time, json; from pydantic import BaseModel; import asyncio\n"
        "started = time.process_time(); import worker; package = time.process_time() - started\n"
        "print(json.dumps(package))"
    )
    assert min(json.loads(in_a_process(program)) for _ in range(3)) < 0.05


@pytest.mark.parametrize("name", worker.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(worker, name) is getattr(importlib.import_module(aliases.WHERE[name]), name)


def test_the_types_are_public_names() -> None:
    assert set(worker.types.__all__) <= set(dir(worker.types)) & set(worker.__all__)
    assert all(getattr(worker.types, name) is getattr(worker, name) for name in worker.types.__all__)
    with pytest.raises(AttributeError, match="Taks"):
        _ = worker.types.Taks  # type: ignore[attr-defined] # that is the test


def test_the_package_offers_every_public_name() -> None:
    assert sorted(worker.__all__) == sorted(aliases.WHERE)
    assert set(worker.__all__) <= set(dir(worker))


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="Taks"):
        _ = worker.Taks  # type: ignore[attr-defined] # that is the test
    with pytest.raises(ImportError):
        importlib.import_module("worker.modules.nothing")
    with pytest.raises(ImportError, match="ToolsRepository"):
        exec("from worker.modules.tasks import ToolsRepository")  # noqa: S102 - an import by name is what is tested


@pytest.mark.parametrize("alias", sorted(aliases.MODULES))
def test_each_alias_module_offers_the_very_same_objects(alias: str) -> None:
    module = importlib.import_module(f"worker.{alias}")
    for name in aliases.MODULES[alias]:
        assert getattr(module, name) is getattr(worker, name)
    assert set(aliases.MODULES[alias]) <= set(dir(module))
    parent = alias.rpartition(".")[0]
    assert not parent or parent in aliases.MODULES


def test_no_alias_hides_a_real_module() -> None:
    for alias in aliases.MODULES:
        path = ROOT / alias.replace(".", "/")
        assert not path.with_suffix(".py").exists()
        assert all(each.suffix == ".pyi" for each in path.rglob("*") if each.is_file())


def test_every_form_of_import_works() -> None:
    program = (
        "import worker.modules.tasks.sub_modules.task as module\n"
        "from worker.modules.tasks.models import task as models\n"
        "from worker.models import events, shared\n"
        "from worker.exceptions import ModuleException\n"
        "from worker.modules.tasks import *\n"
        "import worker.models.user\n"
        "print(module.Task is Task, models.AgentExecutionStatus.InProgress, worker.models.user.User.__name__)\n"
        "print(events.TaskUpdateEventType.TaskFinished, shared.OutputFormat.Json, ModuleException(404, 'x'))"
    )
    assert in_a_process(program).splitlines() == ["True executing User", "task_finished json x (404)"]
