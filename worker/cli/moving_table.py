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


NO_MCP = differs(
    "always empty: give the agent Agno's MCPTools; servers named by a task are not used, and a note reports it"
)
MCP = differs(
    "workers do not connect to servers named by a task, and a note reports it: give the agent Agno's MCPTools"
)
SESSIONS = differs("Agno's sessions in the platform's database, if the agent was run with `db=agno_db()` and its id")
CLOUD = missing("a setting of xpander's cloud, with no meaning here")
GATEWAY = missing("agents, tools and teams are Agno's own and call their model directly")
PLANS = missing("use task.deep_planning")
STREAMING = missing("use task.aevents(), which follows any task")
DATABASE = missing("use agent.get_db(), Agno's storage in the platform's database")
TOOL_GRAPH = missing("tools are functions of workers; before a call, only the payload is validated")
NO_GRAPH = differs("always None: agents have no graph here")

OF_VERSION_1 = {
    "XpanderClient": "Agents and Tasks",
    "Execution": "Task",
    "LLMProvider": "an Agno agent with its model",
    "LLMTokens": "Tokens",
    "Memory": "conversations",
    "ToolCallType": "register_tool",
}
"""What replaces names of xpander-sdk before version 2."""

NAMES: dict[str, MovingName] = {
    "Agent": WORKS,
    "AgentDeploymentType": differs("has no effect: workers serve agents, which are not deployed"),
    "AgentExecutionStatus": WORKS,
    "Agents": WORKS,
    "APIRoute": missing("an internal list of the client's routes; the OpenAPI document is at /docs"),
    "AgentsListItem": differs("is Agent: lists contain whole agents"),
    "Backend": WORKS,
    "Configuration": differs("has no `state`; `database_url` names a PostgreSQL"),
    "Events": differs("`register` registers a handler; `worker run`, or the script itself, runs the worker"),
    "KnowledgeBase": WORKS,
    "KnowledgeBases": WORKS,
    "LocalTaskTest": WORKS,
    "MAX_PLAN_RETRIES": differs("has no effect: plans are not enforced"),
    "MCPServerAuthType": MCP,
    "MCPServerDetails": MCP,
    "MCPServerSSOTokenMode": MCP,
    "MCPServerTransport": MCP,
    "MCPServerType": MCP,
    "ModuleException": WORKS,
    "OutputFormat": WORKS,
    "PROMISE_CONTINUATION_NUDGE": differs("the text differs; workers do not classify answers by their wording"),
    "PendingECARequest": CLOUD,
    "Principal": differs("an input may contain one; use `user` to name the user a task is for"),
    "PrincipalKind": differs("an input may contain one; use `user` to name the user a task is for"),
    "ProviderUnreachableError": differs("is Unavailable: a task waits for its provider instead of failing"),
    "Task": WORKS,
    "TaskUpdateEvent": WORKS,
    "TaskUpdateEventType": WORKS,
    "Tasks": WORKS,
    "TasksListItem": WORKS,
    "Tokens": WORKS,
    "Tool": WORKS,
    "ToolInvocationResult": differs("also has `error` and `execution_time`"),
    "ToolsRepository": differs(
        "`functions` are in Agno's format: each has its own parameters, without a `payload` wrapper"
    ),
    "User": WORKS,
    "XPanderSharedModel": missing("use pydantic's BaseModel"),
    "build_model_from_schema": differs("adds no field for a file in a workspace"),
    "get_base_url": missing("use `Configuration().base_url`"),
    "is_promise_only_answer": differs("a heuristic that may differ; workers do not classify answers by their wording"),
    "on_auth_event": differs("never called: agents here require no sign-in"),
    "on_boot": WORKS,
    "on_shutdown": WORKS,
    "on_task": differs("`configuration` has no effect: the environment configures the worker"),
    "on_tool_after": WORKS,
    "on_tool_before": WORKS,
    "on_tool_error": WORKS,
    "run_sync": missing("every method `aX` has a sync counterpart `X`, which also works within a running loop"),
    "register_tool": differs("`add_to_graph` has no effect"),
}
"""Public names of xpander-sdk."""

MEMBERS: dict[str, MovingName] = {
    "acompact_session_for_retry": missing("not needed: a retry resumes from its journal"),
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
    "openai_agents_sdk_tools": missing("use agent.tools.functions with Agno"),
    "state": missing("handlers receive the task; `context` has the attempt"),
    "strands_tools": missing("use agent.tools.functions with Agno"),
    "sync_local_tools": missing("not needed: workers announce their tools"),
    "handle_task_execution_request": missing(
        "`register` registers a handler; `worker run`, or the script itself, runs the worker"
    ),
    "register_agent_worker": missing(
        "`register` registers a handler; `worker run`, or the script itself, runs the worker"
    ),
    "deployment_type": differs("always Container: workers serve agents"),
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
    "llm_credentials": differs("always None: credentials are in the worker's environment"),
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
    "adelete_multiple_documents": differs(
        "removes the documents; xpander-sdk does not send their ids and removes none"
    ),
    "aadd_documents": differs("waits until the documents can be found, unless sync=False"),
    "aevents": differs("every task can be followed; text requires events_streaming=True"),
    "acreate": differs("positional arguments are agent, prompt, files; xpander-sdk's order is accepted too"),
    "astop": differs("a finished task is returned unchanged; stopping it again is harmless"),
    "areport_metrics": differs("tokens, tools and duration belong to the task and are saved with it"),
    "auth_events_callback": differs("never called: agents here require no sign-in"),
    "to_message": differs("omits the time unless with_timestamp=True, so that a retry sends the same message"),
    "run_locally": differs("requires worker_id, and the caller runs the task itself"),
}
"""Attributes, methods and keywords that differ or are missing; all others work."""
