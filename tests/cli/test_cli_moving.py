"""Moving from xpander-sdk: the guide has the code's table, and `worker check --from-xpander` reads handlers."""

import platform
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

import worker
from worker.cli import moving
from worker.cli.app import app
from worker.cli.moving_table import MEMBERS, NAMES, Verdict

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "moving.md"

HANDLERS = """
    from xpander_sdk import Backend, MCPServerDetails, Task, on_task
    from agno.agent import Agent, AgentMemory
    from agno.tools import mcp
    from agno.vectordb.not_there import Nothing
    from xpander_sdk import XpanderClient
    from xpander_sdk.models.shared import OutputFormat
    from xpander_sdk.utils.event_loop import run_sync

    @on_task
    async def handle(task: Task):
        arguments = await Backend(task.configuration).aget_args(
            task=task,
            auth_events_callback=None,
        )
        await task.astop()
        await Agent(**arguments).arun(message=task.to_message())
        await Team(**arguments).arun(input="x")
        return task
"""


def test_the_guides_table_is_what_the_code_says() -> None:
    text = GUIDE.read_text()
    found = text.partition("<!-- names -->")[2].partition("<!-- end of names -->")[0]
    assert found.strip() == moving.table()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_imported_unless_the_table_says_that_there_is_none(name: str) -> None:
    is_there = name in worker.__all__
    assert is_there == (NAMES[name].verdict is not Verdict.Missing)
    assert NAMES[name].note or NAMES[name].verdict is Verdict.Works


def test_members_that_there_are_not_are_not_there() -> None:
    classes = (worker.Task, worker.Tasks, worker.Agent, worker.Agents, worker.Backend, worker.ToolsRepository)
    gone = [name for name, entry in MEMBERS.items() if entry.verdict is Verdict.Missing]
    assert [name for name in gone if any(hasattr(each, name) for each in classes)] == []


def test_handlers_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "handler.py").write_text(textwrap.dedent(HANDLERS))
    (tmp_path / "old" / "other.py").write_text("state.astop()\n")  # it does not use xpander-sdk
    (tmp_path / "old" / ".venv").mkdir()
    (tmp_path / "old" / ".venv" / "inside.py").write_text("import xpander_sdk\n")
    (tmp_path / "old" / "broken.py").write_text("def (\n")
    result = CliRunner().invoke(app, ["check", "--from-xpander", str(tmp_path / "old")])
    assert result.exit_code == 1
    told = [line.split(": ", 2) for line in result.stdout.splitlines()]
    lines = [(place, verdict, what.partition(": ")[0]) for place, verdict, what in told]
    assert lines == [
        ("broken.py:1", "missing", "the file"),
        ("handler.py:2", "works", "from xpander_sdk import Backend"),
        ("handler.py:2", "change", "from xpander_sdk import MCPServerDetails"),
        ("handler.py:2", "works", "from xpander_sdk import Task"),
        ("handler.py:2", "change", "from xpander_sdk import on_task"),
        ("handler.py:3", "missing", "from agno.agent import AgentMemory"),
        ("handler.py:5", "missing", "from agno.vectordb.not_there import Nothing"),
        ("handler.py:6", "missing", "from xpander_sdk import XpanderClient"),
        ("handler.py:7", "works", "from xpander_sdk.models.shared import OutputFormat"),
        ("handler.py:8", "missing", "from xpander_sdk.utils.event_loop import run_sync"),
        ("handler.py:14", "change", "auth_events_callback="),
        ("handler.py:16", "change", ".astop"),
        ("handler.py:17", "change", ".arun(message=)"),
        ("handler.py:17", "change", ".to_message"),
        ("handler.py:18", "change", "Team(**…)"),
    ]
    assert result.stderr == "5 of 15 uses have no counterpart here\n"
    assert "use Agents and Tasks" in result.stdout
    assert f"Python {platform.python_version()} cannot parse it" in result.stdout
