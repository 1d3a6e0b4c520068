"""The names of xpander-sdk that work, differ or are missing here, for the guide and for ``worker check``."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """Whether a name that code for xpander-sdk uses works, differs or is missing here."""

    Works = "works"
    Differs = "differs"
    Missing = "missing"


class MovingName(NamedTuple):
    """The entry of a name.

    Args:
        note: The difference, or what to use instead; empty if there is nothing to note.
    """

    verdict: Verdict
    note: str = ""


WORKS = MovingName(Verdict.Works)


def differs(note: str) -> MovingName:
    """Return the entry of a name that exists here and behaves differently."""
    return MovingName(Verdict.Differs, note)


def missing(note: str) -> MovingName:
    """Return the entry of a name that does not exist here."""
    return MovingName(Verdict.Missing, note)


NO_MCP = differs("an agent names none: give Agno's MCPTools to it; a task's are not connected to, and a note says so")
MCP = differs("workers connect to no server that a task names, and a note says so: give Agno's MCPTools to the agent")
SESSIONS = differs("Agno's, in the platform's own database, if the agent was run with `db=agno_db()` and its id")
CLOUD = missing("a setting of xpander's cloud, which nothing here reads")
GATEWAY = missing("agents, tools and teams are Agno's own: nothing stands between them and their model")
PLANS = missing("task.deep_planning has the plan")
STREAMING = missing("task.aevents() follows any task")
DATABASE = missing("agent.get_db() is Agno's storage in the platform's own database")
TOOL_GRAPH = missing("tools are functions of workers, and nothing is checked before they are called but their payload")
NO_GRAPH = differs("it is None: agents here are no graphs")

NAMES: dict[str, MovingName] = {
    "Agent": WORKS,
    "AgentDeploymentType": differs("it means nothing: agents are not deployed, workers serve them"),
    "AgentExecutionStatus": WORKS,
    "Agents": WORKS,
    "APIRoute": missing("an internal list of the client's routes; OpenAPI is at /docs"),
    "AgentsListItem": differs("it is Agent: lists hold whole agents"),
    "Backend": WORKS,
    "Configuration": differs("it has no `state`; `database_url` names a PostgreSQL"),
    "Events": differs("`register` binds a handler; `worker run`, or the script itself, is the worker"),
    "KnowledgeBase": WORKS,
    "KnowledgeBases": WORKS,
    "LocalTaskTest": WORKS,
    "MAX_PLAN_RETRIES": differs("it means nothing: plans are not enforced"),
    "MCPServerAuthType": MCP,
    "MCPServerDetails": MCP,
    "MCPServerSSOTokenMode": MCP,
    "MCPServerTransport": MCP,
    "MCPServerType": MCP,
    "ModuleException": WORKS,
    "OutputFormat": WORKS,
    "PROMISE_CONTINUATION_NUDGE": differs("a text of our own; workers do not judge answers by their words"),
    "PendingECARequest": CLOUD,
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
    "XPanderSharedModel": missing("pydantic's BaseModel"),
    "build_model_from_schema": differs("no field for a file in a workspace is added"),
    "get_base_url": missing("`Configuration().base_url`"),
    "is_promise_only_answer": differs("a rule of thumb of our own; workers do not judge answers by their words"),
    "on_auth_event": differs("it is never called: agents here ask for no sign-in"),
    "on_boot": WORKS,
    "on_shutdown": WORKS,
    "on_task": differs("`configuration` has no meaning: where a worker works is said by its environment"),
    "on_tool_after": WORKS,
    "on_tool_before": WORKS,
    "on_tool_error": WORKS,
    "run_sync": missing("every method `aX` has its sync twin `X`, which works within a running loop, too"),
    "register_tool": differs("`add_to_graph` has no meaning"),
}
"""Public names of xpander-sdk."""

MEMBERS: dict[str, MovingName] = {
    "acompact_session_for_retry": missing("a retry resumes from its journal"),
    "aget_connection_string": DATABASE,
    "get_connection_string": DATABASE,
    "aget_plan_following_status": PLANS,
    "get_plan_following_status": PLANS,
    "aget_streaming_spec": STREAMING,
    "get_streaming_spec": STREAMING,
    "aget_db": SESSIONS,
    "get_db": SESSIONS,
    "aget_session": SESSIONS,
    "get_session": SESSIONS,
    "aget_user_sessions": SESSIONS,
    "get_user_sessions": SESSIONS,
    "adelete_session": SESSIONS,
    "delete_session": SESSIONS,
    "graph": NO_GRAPH,
    "mcp_servers": NO_MCP,
    "openai_agents_sdk_tools": missing("agent.tools.functions is for Agno"),
    "state": missing("handlers are given the task; `context` has the attempt"),
    "strands_tools": missing("agent.tools.functions is for Agno"),
    "sync_local_tools": missing("a worker announces its tools by itself"),
    "handle_task_execution_request": missing(
        "`register` binds a handler; `worker run`, or the script itself, serves it"
    ),
    "register_agent_worker": missing("`register` binds a handler; `worker run`, or the script itself, serves it"),
    "deployment_type": differs("it is always Container: workers serve agents"),
    "access_scope": CLOUD,
    "agent_graph": CLOUD,
    "agno_settings": CLOUD,
    "background_auth_eligible": CLOUD,
    "can_self_schedule": CLOUD,
    "connectivity_details": CLOUD,
    "connector_id": CLOUD,
    "conversation_kind": CLOUD,
    "discoverable": CLOUD,
    "developer_access": CLOUD,
    "enforce_deep_planning": CLOUD,
    "environment_id": CLOUD,
    "execution_kind": CLOUD,
    "is_app": CLOUD,
    "is_autonomous": CLOUD,
    "is_gateway": CLOUD,
    "is_omni": CLOUD,
    "is_orchestration": CLOUD,
    "is_standalone": CLOUD,
    "is_synced": CLOUD,
    "live_surface_sharing_enabled": CLOUD,
    "llm_credentials": differs("it is None: they are in the worker's environment"),
    "mark_served_model": CLOUD,
    "max_self_schedules": CLOUD,
    "must_deep_plan": CLOUD,
    "notification_settings": CLOUD,
    "oidc_pre_auth_token_llm_audience": CLOUD,
    "oidc_pre_auth_token_mcp_audience": CLOUD,
    "orchestration_nodes": CLOUD,
    "origin_template": CLOUD,
    "pending_eca_request": CLOUD,
    "pre_auth_audiences": CLOUD,
    "runtime_environment": CLOUD,
    "runtime_environment_id": CLOUD,
    "served_model": CLOUD,
    "should_stage_before_publish": CLOUD,
    "should_update_parent": CLOUD,
    "skills": CLOUD,
    "source_nodes": CLOUD,
    "task_level_strategies": CLOUD,
    "use_agent_gateway": CLOUD,
    "use_dynamic_tools": CLOUD,
    "use_oidc_pre_auth": CLOUD,
    "use_oidc_pre_auth_token_for_llm": CLOUD,
    "using_nemo": CLOUD,
    "voice_id": CLOUD,
    "with_auto_context_management": CLOUD,
    "webhook_url": CLOUD,
    "workspace_tools_enabled": CLOUD,
    "get_attachment_plan": GATEWAY,
    "get_media_texts": GATEWAY,
    "is_a_team": GATEWAY,
    "llm_api_base": GATEWAY,
    "llm_extra_headers": GATEWAY,
    "abuild_dynamic_tools_hint": TOOL_GRAPH,
    "acall_remote_tool": TOOL_GRAPH,
    "agraph_preflight_check": TOOL_GRAPH,
    "aload_tool_by_id": TOOL_GRAPH,
    "build_dynamic_tools_hint": TOOL_GRAPH,
    "call_remote_tool": TOOL_GRAPH,
    "dynamic_catalog": TOOL_GRAPH,
    "graph_preflight_check": TOOL_GRAPH,
    "has_schema_override": TOOL_GRAPH,
    "load_tool_by_id": TOOL_GRAPH,
    "schema_overrides": TOOL_GRAPH,
    "set_schema_overrides": TOOL_GRAPH,
    "should_add_to_graph": TOOL_GRAPH,
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
"""Attributes, methods and keywords that differ or are missing; all others work."""
