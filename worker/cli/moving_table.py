"""What of xpander-sdk is here, what differs, and what there is not: for the guide, and for ``worker check``."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What becomes of something that code for xpander-sdk uses."""

    Works = "works"
    Differs = "differs"
    Missing = "missing"


class Entry(NamedTuple):
    """One name.

    Args:
        note: What is different, or what to use instead; empty: nothing is to be said.
    """

    verdict: Verdict
    note: str = ""


WORKS = Entry(Verdict.Works)


def differs(note: str) -> Entry:
    """It is here, and does something else."""
    return Entry(Verdict.Differs, note)


def missing(note: str) -> Entry:
    """It is not here."""
    return Entry(Verdict.Missing, note)


NO_MCP = missing("give Agno's MCPTools to the agent: workers connect to no server that a task names")
MCP = differs("workers connect to no server that a task names, and a note says so: give Agno's MCPTools to the agent")
NO_SESSIONS = missing("give the Agno agent a db of its own")
NO_GRAPH = missing("agents here are no graphs")

NAMES: dict[str, Entry] = {
    "Agent": WORKS,
    "AgentDeploymentType": differs("it means nothing: agents are not deployed, workers serve them"),
    "AgentExecutionStatus": WORKS,
    "Agents": WORKS,
    "AgentsListItem": differs("it is Agent: lists hold whole agents"),
    "Backend": WORKS,
    "Configuration": differs("it has no `state`; `database_url` names a PostgreSQL"),
    "Events": differs("`register` binds a handler; `worker run`, or the script itself, is the worker"),
    "KnowledgeBase": WORKS,
    "KnowledgeBases": WORKS,
    "LocalTaskTest": WORKS,
    "MAX_PLAN_RETRIES": missing("plans are not enforced"),
    "MCPServerAuthType": MCP,
    "MCPServerDetails": MCP,
    "MCPServerSSOTokenMode": MCP,
    "MCPServerTransport": MCP,
    "MCPServerType": MCP,
    "ModuleException": WORKS,
    "OutputFormat": WORKS,
    "PROMISE_CONTINUATION_NUDGE": missing("answers are not judged by their words"),
    "Principal": differs("an input may hold one; `user` says whom a task is done for"),
    "PrincipalKind": differs("an input may hold one; `user` says whom a task is done for"),
    "ProviderUnreachableError": differs("it is Unavailable: a task waits for its provider, and is not ended"),
    "Task": WORKS,
    "TaskUpdateEvent": WORKS,
    "TaskUpdateEventType": WORKS,
    "Tasks": WORKS,
    "TasksListItem": WORKS,
    "Tokens": WORKS,
    "Tool": WORKS,
    "ToolInvocationResult": differs("it has `error` and `execution_time`, too"),
    "ToolsRepository": differs("`functions` are what Agno takes: their own parameters, no `payload` around them"),
    "User": WORKS,
    "build_model_from_schema": missing("pass the JSON Schema itself as output_schema"),
    "is_promise_only_answer": missing("answers are not judged by their words"),
    "on_auth_event": differs("it is never called: agents here ask for no sign-in"),
    "on_boot": WORKS,
    "on_shutdown": WORKS,
    "on_task": differs("`configuration` has no meaning: where a worker works is said by its environment"),
    "on_tool_after": WORKS,
    "on_tool_before": WORKS,
    "on_tool_error": WORKS,
    "register_tool": differs("`add_to_graph` has no meaning"),
}
"""Names that xpander-sdk offers."""

MEMBERS: dict[str, Entry] = {
    "acompact_session_for_retry": missing("a retry resumes from its journal"),
    "adelete_session": NO_SESSIONS,
    "aget_connection_string": NO_SESSIONS,
    "aget_db": NO_SESSIONS,
    "aget_plan_following_status": missing("task.deep_planning has the plan"),
    "aget_session": NO_SESSIONS,
    "aget_streaming_spec": missing("task.aevents() follows any task"),
    "aget_user_sessions": NO_SESSIONS,
    "get_db": NO_SESSIONS,
    "graph": NO_GRAPH,
    "mcp_servers": NO_MCP,
    "openai_agents_sdk_tools": missing("agent.tools.functions is for Agno"),
    "state": missing("handlers are given the task; `context` has the attempt"),
    "strands_tools": missing("agent.tools.functions is for Agno"),
    "sync_local_tools": missing("a worker announces its tools by itself"),
    "adelete_multiple_documents": differs("xpander-sdk sends no ids, so it removes nothing; this does"),
    "aadd_documents": differs("it waits until the documents can be found, unless sync=False"),
    "aevents": differs("every task can be followed; text needs events_streaming=True"),
    "acreate": differs("by position it is agent, prompt, files; xpander-sdk's order is understood, too"),
    "astop": differs("a task that is over stays as it is, and is answered: to repeat a stop does no harm"),
    "areport_metrics": differs("tokens, tools and duration are the task's own, and are saved with it"),
    "auth_events_callback": differs("it is never called: agents here ask for no sign-in"),
    "to_message": differs("without a time unless with_timestamp=True: a retry must ask the same again"),
    "run_locally": differs("with a worker_id: the caller does the task itself"),
}
"""Attributes, methods and keywords that are not as they were; those that are not named work."""
