"""``worker agent …``: the agents of a platform."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from worker.cli import output
from worker.cli.arguments import JSON_OR_FILE, AsJson, json_or_file
from worker.cli.platform import ask
from worker.words.errors import AgentNotFound, Conflict
from worker.words.statuses import LLMReasoningEffort, OutputFormat

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.agents import AgentRecord

agents = typer.Typer(no_args_is_help=True, help="Create, list, show and delete agents.")

AgentId = Annotated[str, typer.Argument(metavar="ID", help="The agent.", show_default=False)]


@agents.command()
def create(
    *,
    agent_id: AgentId,
    name: Annotated[str | None, typer.Option(help="Display name. Default: the agent's id.")] = None,
    description: Annotated[str | None, typer.Option(help="What the agent is for.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A line of the agent's role; may be repeated.")] = None,
    goal: Annotated[list[str] | None, typer.Option(help="One of the agent's goals; may be repeated.")] = None,
    instructions: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with further instructions, or - for standard input.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME", help="Model, such as openai:gpt-5-mini. Default: the worker's default model."
        ),
    ] = None,
    reasoning_effort: Annotated[
        LLMReasoningEffort | None, typer.Option(help="How much effort the model puts into reasoning.")
    ] = None,
    output_format: Annotated[OutputFormat | None, typer.Option(help="Format of the agent's results.")] = None,
    output_schema: Annotated[
        str | None,
        typer.Option(
            metavar=JSON_OR_FILE,
            parser=json_or_file("--output-schema"),
            help="JSON Schema that the agent's results must match.",
        ),
    ] = None,
    expected_output: Annotated[str | None, typer.Option(help="Description of a good result.")] = None,
    knowledge_base: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A knowledge base that the agent searches; may be repeated.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Update an existing agent; its version increases.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create an agent. An agent that a worker only announced is replaced by the created one."""
    from worker.words.agents import AgentRecord, Instructions
    from worker.words.ids import check_id
    from worker.words.knowledge import AgentKnowledgeBase

    provider, model_name = _model(model)
    agent = AgentRecord(
        id=check_id(agent_id, "ID"),
        name=name or agent_id,
        unique_name=agent_id,
        description=description,
        instructions=Instructions(role=role or [], goal=goal or [], general=_text(instructions)),
        model_provider=provider,
        model_name=model_name,
        llm_reasoning_effort=reasoning_effort,
        output_format=output_format,
        output_schema=cast("dict[str, Any] | None", output_schema),
        expected_output=expected_output,
        knowledge_bases=[AgentKnowledgeBase(id=each) for each in knowledge_base or []],
    )
    made = ask(lambda platform: _create(platform, agent, replace=replace), quiet=as_json)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"{made.id} version {made.version}")


@agents.command("list")
def list_agents(as_json: AsJson = False) -> None:
    """List agents: those that were created, and those that a worker announced."""
    found = ask(lambda platform: platform.tasks.list_agents(), quiet=as_json)
    output.print_list(found, ("agent", "name", "model", "version", "made"), _row, as_json=as_json)


@agents.command()
def show(agent_id: AgentId, as_json: AsJson = False) -> None:
    """Show an agent: its instructions, model and form of results."""
    agent = ask(lambda platform: platform.tasks.get_agent(agent_id), quiet=as_json)
    if as_json:
        output.print_json(agent)
        return
    output.print_fields(_fields(agent))


@agents.command()
def delete(agent_id: AgentId) -> None:
    """Delete an agent. Its tasks remain; a worker that serves it announces it again when it starts."""
    agent = ask(lambda platform: platform.tasks.delete_agent(agent_id))
    output.say(f"{agent.id} deleted")


async def _create(platform: "Platform", agent: "AgentRecord", *, replace: bool) -> "AgentRecord":
    if not replace:
        try:
            there = await platform.tasks.get_agent(agent.id)
        except AgentNotFound:
            pass
        else:
            if not there.announced:
                raise Conflict(f"Agent {agent.id!r} already exists. Use --replace to update it.")
    return await platform.tasks.save_agent(agent)


def _model(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    provider, _, name = text.partition(":")
    if not provider or not name:
        raise typer.BadParameter("expected PROVIDER:NAME, such as openai:gpt-5-mini", param_hint="--model")
    return provider, name


def _text(path: str | None) -> str:
    if path is None:
        return ""
    try:
        return (sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read as text: {error}", param_hint="--instructions") from None


def _model_of(agent: "AgentRecord") -> str | None:
    return ":".join(part for part in (agent.model_provider, agent.model_name) if part) or None


def _row(agent: "AgentRecord") -> tuple[str, ...]:
    return agent.id, agent.name, _model_of(agent) or "", str(agent.version), _origin(agent)


def _origin(agent: "AgentRecord") -> str:
    return "announced by a worker" if agent.announced else "created"


def _fields(agent: "AgentRecord") -> list[tuple[str, str | None]]:
    """Return the fields of an agent for people, in reading order."""
    import json

    instructions = agent.instructions
    schema: dict[str, Any] | None = agent.output_schema
    return [
        ("agent", agent.id),
        ("name", agent.name),
        ("made", _origin(agent)),
        ("version", str(agent.version)),
        ("description", agent.description),
        ("model", _model_of(agent) or "the worker's default"),
        ("reasoning effort", agent.llm_reasoning_effort),
        ("output format", agent.output_format),
        ("output schema", json.dumps(schema, ensure_ascii=False) if schema else None),
        ("expected output", agent.expected_output),
        ("knowledge bases", ", ".join(each.id for each in agent.knowledge_bases) or None),
        ("role", "\n".join(instructions.role)),
        ("goal", "\n".join(instructions.goal)),
        ("instructions", instructions.general),
    ]
