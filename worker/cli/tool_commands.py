"""``worker tool …``: the tools that workers offer to their agents."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import AsJson, object_of
from worker.cli.platform import ask
from worker.words.errors import ModuleException, NotFound, ToolNotFound

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.tools import AgentTool, ToolInvocationResult

tools = typer.Typer(no_args_is_help=True, help="Tools that workers offer to their agents: list, show and call them.")

Name = Annotated[str, typer.Argument(metavar="TOOL", help="The tool, as named in the list.", show_default=False)]
Agent = Annotated[
    str | None,
    typer.Option("--agent", metavar="ID", help="Agent that has the tool. Default: the only agent that has it."),
]


@tools.command("list")
def list_tools(
    agent: Annotated[str | None, typer.Option("--agent", metavar="ID", help="Only tools of this agent.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tools of running workers, by agent."""
    found = ask(lambda platform: _all(platform, agent), quiet=as_json)
    output.print_list(found, ("agent", "tool", "time limit", "description"), _row, as_json=as_json)


@tools.command()
def show(tool: Name, agent: Agent = None, as_json: AsJson = False) -> None:
    """Show a tool: its description, and the schema of its arguments."""
    found = ask(lambda platform: _one(platform, tool, agent), quiet=as_json)
    if as_json:
        output.print_json(found)
        return
    output.print_fields(
        [
            ("tool", found.name),
            ("agent", found.agent_id),
            ("time limit", f"{found.timeout:g} s"),
            ("description", found.description),
            ("parameters", json.dumps(found.parameters, ensure_ascii=False, indent=2)),
        ]
    )


@tools.command()
def invoke(
    tool: Name,
    payload: Annotated[
        str,
        typer.Argument(metavar="JSON", help="The arguments as a JSON object, or - to read them from standard input."),
    ] = "{}",
    agent: Agent = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole outcome as JSON.")] = False,
) -> None:
    """Have a worker call a tool, and print the result. The call is a task of the agent, with its own log."""
    given = object_of(sys.stdin.read() if payload == "-" else payload, "JSON", example='{"region": "north"}')

    async def call(platform: "Platform") -> "ToolInvocationResult":
        found = await _one(platform, tool, agent)
        return await platform.tasks.invoke_tool(found.agent_id, found.name, given)

    result = ask(call, quiet=as_json)
    if as_json:
        output.print_json(result)
    elif result.is_success:
        output.say(result.result if isinstance(result.result, str) else json.dumps(result.result, ensure_ascii=False))
    if not result.is_success:
        raise typer.Exit(1) if as_json else ModuleException(result.status_code, result.error)


def _row(each: "AgentTool") -> tuple[str, ...]:
    return each.agent_id, each.name, f"{each.timeout:g} s", output.one_line(each.description)


async def _all(platform: "Platform", agent: str | None) -> "list[AgentTool]":
    from worker.words.tools import AgentTool

    agents = await platform.tasks.list_agents() if agent is None else [await platform.tasks.get_agent(agent)]
    return [AgentTool(agent_id=each.id, **tool.__dict__) for each in agents for tool in each.announced_tools]


async def _one(platform: "Platform", name: str, agent: str | None) -> "AgentTool":
    """Return a tool and its agent. Raise BadParameter if several agents have it."""
    found = [each for each in await _all(platform, agent) if each.name == name]
    if agent is not None and not found:
        raise ToolNotFound(agent, name)
    if not found:
        raise NotFound(f"No running worker has a tool {name[:80]!r}. See `worker tool list`.")
    if len(found) > 1:
        owners = ", ".join(each.agent_id for each in found)
        raise typer.BadParameter(f"several agents have {name}: {owners}; choose one", param_hint="--agent")
    return found[0]
