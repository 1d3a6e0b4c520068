"""Tools that need a connection: it is open before the agent begins, and no run closes it under another."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.team import Team
from agno.tools import Toolkit
from agno.tools.mcp import MCPTools
from structlog.testing import capture_logs

from tests.agents.attempts import Task
from tests.support import free_port, is_retryable, process_lives, wait_until
from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.tool_calls import connections
from worker.testing import Call, ScriptedModel

SERVER = """
import os, sys
from fastmcp import FastMCP
server = FastMCP("numbers")
number = 0

@server.tool
def add(more: int) -> str:
    "Add to the number."
    global number
    number += more
    return f"{number} in {os.getpid()}"

if len(sys.argv) > 1:
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, log_level="ERROR")
else:
    server.run(show_banner=False, log_level="ERROR")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A real MCP server, whose tool keeps a number and says in which process."""
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return path


@asynccontextmanager
async def serving(script: Path, port: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The server, where it can be reached over HTTP."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), str(port))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_up(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def mcp_tools(script: Path) -> MCPTools:
    """The server as a child process: its first start on a machine compiles a large library, which takes a while."""
    return MCPTools(command=f"{sys.executable} {script}", timeout_seconds=60)


def adding(*toolkits: Any) -> Agent:
    """An agent that adds one, and says what the tool said."""

    def turn(messages: list[Any]) -> Any:
        return str(messages[-1].content) if messages[-1].role == "tool" else Call("add", {"more": 1})

    return Agent(name="ann", model=ScriptedModel(turn), tools=list(toolkits), telemetry=False)


async def run(agent: Any, number: int = 0) -> str:
    result = await asyncio.wait_for(Task(id=f"task-{number}").attempted(lambda run_agent: run_agent(agent)), 90)
    return str(result.content)


async def test_ten_tasks_share_one_connection_that_is_open_first(script: Path) -> None:
    agent = adding(mcp_tools(script))
    results = await asyncio.gather(*(run(agent, number) for number in range(10)))
    said = [each.split(" in ") for each in results]
    assert sorted(int(number) for number, _ in said) == list(range(1, 11))
    assert len({process for _, process in said}) == 1
    assert (await run(agent, 10)) == f"11 in {said[0][1]}", "it stays open for who comes later"


async def test_what_one_run_alone_has_used_is_closed_with_it(script: Path) -> None:
    toolkit = mcp_tools(script)
    number, process = (await run(adding(toolkit))).split(" in ")
    assert (number, toolkit.initialized) == ("1", False)
    await wait_until(lambda: not process_lives(int(process)), "its server has ended")


async def test_a_toolkit_that_its_user_has_connected_is_left_alone(script: Path) -> None:
    async with mcp_tools(script) as toolkit:
        assert [(await run(adding(toolkit), number))[0] for number in range(2)] == ["1", "2"]
        assert toolkit.initialized


async def test_a_members_servers_are_connected_too(script: Path) -> None:
    team = Team(
        model=ScriptedModel([Call("delegate_task_to_member", {"member_id": "ann", "task": "add"}), "added"]),
        members=[adding(mcp_tools(script))],
    )
    task = Task()
    assert (await task.attempted(lambda run_agent: run_agent(team))).content == "added"
    (result,) = [event.data["result"] for event in task.events if event.type == "tool_call_result"]
    assert result.startswith("1 in ")


async def test_a_server_that_is_away_is_worth_another_try_and_is_found_when_it_is_back(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.0)
    port = free_port()
    agent = adding(MCPTools(url=f"http://127.0.0.1:{port}/mcp"))
    with pytest.raises(
        AgentFailed, match=r"The MCP server .* cannot be reached; see the log for the reason\. \(503\)$"
    ) as raised:
        await run(agent)
    assert is_retryable(raised.value)
    for number in range(2):  # the second time after it was away
        async with serving(script, port) as process:
            await wait_until(lambda: is_up(port), "the server listens", timeout=60)
            assert (await run(agent, number)) == f"1 in {process.pid}"


@pytest.mark.parametrize("whose", ["ours", "its user's"])
async def test_a_server_that_restarts_in_the_middle_of_a_run_is_connected_again(
    script: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    monkeypatch.setattr(connections, "CALL_CHECK_SECONDS", 0.0)
    port = free_port()
    toolkit = MCPTools(url=f"http://127.0.0.1:{port}/mcp", protocol_mode="legacy")
    servers: list[Any] = []

    async def restart() -> str:
        """Restart it."""
        await servers[-1].__aexit__(None, None, None)
        servers.append(serving(script, port))
        await servers[-1].__aenter__()
        await wait_until(lambda: is_up(port), "the server listens again", timeout=60)
        return "restarted"

    def turn(messages: list[Any]) -> Any:
        calls = ["add", "restart", "add"]
        done = [each for each in messages if each.role == "tool"]
        if len(done) == len(calls):
            return " ".join(str(each.content).partition(" ")[0] for each in done)
        name = calls[len(done)]
        return Call(name, {"more": 1} if name == "add" else {})

    agent = Agent(name="ann", model=ScriptedModel(turn), tools=[toolkit, restart], telemetry=False)
    servers.append(serving(script, port))
    await servers[-1].__aenter__()
    try:
        await wait_until(lambda: is_up(port), "the server listens", timeout=60)
        if whose != "ours":
            await toolkit.connect()
        assert await run(agent) == "1 restarted 1"
    finally:
        await toolkit.close()
        await servers[-1].__aexit__(None, None, None)
        await connections.close_servers()


async def test_a_server_that_is_gone_in_the_middle_of_a_run_is_named(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CALL_CHECK_SECONDS", 0.0)
    port = free_port()
    toolkit = MCPTools(url=f"http://127.0.0.1:{port}/mcp", protocol_mode="legacy")
    task = Task()
    async with serving(script, port) as process:
        await wait_until(lambda: is_up(port), "the server listens", timeout=60)

        async def leave() -> str:
            """Leave."""
            process.kill()
            await process.wait()
            return "left"

        turns = [Call("leave", {}), Call("add", {"more": 1}), "went on"]
        agent = Agent(name="ann", model=ScriptedModel(turns), tools=[toolkit, leave], telemetry=False)
        result = await asyncio.wait_for(task.attempted(lambda run_agent: run_agent(agent)), 60)
    assert result.content == "went on"
    (note,) = [each.data["text"] for each in task.events if each.type == "note"]
    assert note.startswith("the MCP server")
    assert "continued without it" in note


def test_it_is_connected_again_on_another_event_loop(script: Path) -> None:
    agent = adding(mcp_tools(script))

    async def thrice() -> list[str]:
        return [(await run(agent, number))[0] for number in range(3)]

    assert [asyncio.run(thrice()) for _ in range(2)] == [["1", "1", "2"]] * 2, "the first one closes it again"


async def test_what_nobody_has_used_for_long_is_closed_and_connected_again_when_it_is_used(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
    toolkit = mcp_tools(script)
    agent = adding(toolkit)
    first, second = await asyncio.gather(run(agent), run(agent, 1))
    assert {first[0], second[0]} == {"1", "2"}
    await wait_until(lambda: not process_lives(int(first.split(" in ")[1])), "its server has ended")
    assert (await run(agent, 2))[0] == "1"


async def test_a_server_that_does_not_disconnect_holds_nobody_up(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.05)
    close = MCPTools.close

    async def closes_in_the_end(self: MCPTools) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await close(self)

    monkeypatch.setattr(MCPTools, "close", closes_in_the_end)
    with capture_logs() as logs:
        assert (await run(adding(mcp_tools(script))))[0] == "1"
    assert [each["event"] for each in logs] == ["an MCP server did not disconnect in time"]


async def test_a_database_is_not_closed_while_another_run_uses_it() -> None:
    class Database(Toolkit):
        _requires_connect = True

        def __init__(self) -> None:
            super().__init__(name="database", tools=[self.query])
            self.is_open = False
            self.closed = 0

        def connect(self) -> None:
            self.is_open = True

        def close(self) -> None:
            self.is_open = False
            self.closed += 1

        async def query(self) -> str:
            """Query."""
            queried.set()
            await goes_on.wait()
            return "open" if self.is_open else "closed"

    def turn(messages: list[Any]) -> Any:
        return str(messages[-1].content) if messages[-1].role == "tool" else Call("query")

    queried, goes_on, database = asyncio.Event(), asyncio.Event(), Database()
    slow = asyncio.create_task(run(Agent(name="ann", model=ScriptedModel(turn), tools=[database])))
    await queried.wait()
    await run(Agent(name="bob", model=ScriptedModel(["done"]), tools=[database]), 1)
    goes_on.set()
    assert await slow == "open"
    assert (database.is_open, database.closed) == (False, 1)
