"""The worker framework for Agno agents: write a handler, start a worker, and every task is run to its end.

Public names are loaded on first use, so importing the package loads no agno, pydantic, psycopg or httpx.
"""

from typing import TYPE_CHECKING, Any

from worker import aliases as _aliases

if TYPE_CHECKING:
    from worker.agents.tools.tools import declare_tool
    from worker.current import idempotency_key
    from worker.decorators import (
        on,
        on_boot,
        on_shutdown,
        on_task,
        on_tool_after,
        on_tool_before,
        on_tool_error,
        register_tool,
        tool,
    )
    from worker.face.agent import Agent, AgentsListItem
    from worker.face.agents import Agents
    from worker.face.agno_db import agno_db
    from worker.face.backend import Backend
    from worker.face.configuration import Configuration
    from worker.face.context import Context
    from worker.face.knowledge import KnowledgeBase, KnowledgeBaseDocumentItem, KnowledgeBases
    from worker.face.listening import Events, on_auth_event
    from worker.face.running import run_agent, run_agent_sync
    from worker.face.schema_models import build_model_from_schema
    from worker.face.task import Task
    from worker.face.task_lists import TasksListItem
    from worker.face.tasks import Tasks
    from worker.face.tools import Tool, ToolsRepository
    from worker.words.activity import (
        AgentActivityThread,
        AgentActivityThreadAuth,
        AgentActivityThreadMessage,
        AgentActivityThreadMessageContent,
        AgentActivityThreadMessageType,
        AgentActivityThreadReasoning,
        AgentActivityThreadSubAgentTrigger,
        AgentActivityThreadToolCall,
    )
    from worker.words.agents import Instructions
    from worker.words.errors import (
        ChildFailed,
        ConfigurationError,
        Conflict,
        GiveUp,
        LeaseLost,
        ModuleException,
        NotFound,
        ProviderUnreachableError,
        Unavailable,
        ValidationError,
    )
    from worker.words.events import (
        Note,
        Reasoning,
        SubAgentTrigger,
        TaskUpdateEvent,
        Thought,
        ToolCallRequest,
        ToolCallResult,
    )
    from worker.words.knowledge import AgentKnowledgeBase, KnowledgeBaseSearchResult, KnowledgeBaseType
    from worker.words.plans import MAX_PLAN_RETRIES, PROMISE_CONTINUATION_NUDGE, is_promise_only_answer
    from worker.words.protocol import (
        AgentDeploymentType,
        MCPServerAuthType,
        MCPServerDetails,
        MCPServerSSOTokenMode,
        MCPServerTransport,
        MCPServerType,
        Principal,
        PrincipalKind,
    )
    from worker.words.requests import InputAnswer, InputRequest, OpenRequest, ReceivedAnswer, RequestKind
    from worker.words.retry import RetryPolicy
    from worker.words.statuses import (
        AgentExecutionStatus,
        LLMReasoningEffort,
        OutputFormat,
        TaskUpdateEventType,
        ThinkMode,
    )
    from worker.words.tasks import AgentExecutionInput, DeepPlanning, LocalTaskTest, PlanStep, Tokens, User
    from worker.words.tools import ToolInvocationResult

__all__ = [
    "MAX_PLAN_RETRIES",
    "PROMISE_CONTINUATION_NUDGE",
    "Agent",
    "AgentActivityThread",
    "AgentActivityThreadAuth",
    "AgentActivityThreadMessage",
    "AgentActivityThreadMessageContent",
    "AgentActivityThreadMessageType",
    "AgentActivityThreadReasoning",
    "AgentActivityThreadSubAgentTrigger",
    "AgentActivityThreadToolCall",
    "AgentDeploymentType",
    "AgentExecutionInput",
    "AgentExecutionStatus",
    "AgentKnowledgeBase",
    "Agents",
    "AgentsListItem",
    "Backend",
    "ChildFailed",
    "Configuration",
    "ConfigurationError",
    "Conflict",
    "Context",
    "DeepPlanning",
    "Events",
    "GiveUp",
    "InputAnswer",
    "InputRequest",
    "Instructions",
    "KnowledgeBase",
    "KnowledgeBaseDocumentItem",
    "KnowledgeBaseSearchResult",
    "KnowledgeBaseType",
    "KnowledgeBases",
    "LLMReasoningEffort",
    "LeaseLost",
    "LocalTaskTest",
    "MCPServerAuthType",
    "MCPServerDetails",
    "MCPServerSSOTokenMode",
    "MCPServerTransport",
    "MCPServerType",
    "ModuleException",
    "NotFound",
    "Note",
    "OpenRequest",
    "OutputFormat",
    "PlanStep",
    "Principal",
    "PrincipalKind",
    "ProviderUnreachableError",
    "Reasoning",
    "ReceivedAnswer",
    "RequestKind",
    "RetryPolicy",
    "SubAgentTrigger",
    "Task",
    "TaskUpdateEvent",
    "TaskUpdateEventType",
    "Tasks",
    "TasksListItem",
    "ThinkMode",
    "Thought",
    "Tokens",
    "Tool",
    "ToolCallRequest",
    "ToolCallResult",
    "ToolInvocationResult",
    "ToolsRepository",
    "Unavailable",
    "User",
    "ValidationError",
    "agno_db",
    "build_model_from_schema",
    "declare_tool",
    "idempotency_key",
    "is_promise_only_answer",
    "on",
    "on_auth_event",
    "on_boot",
    "on_shutdown",
    "on_task",
    "on_tool_after",
    "on_tool_before",
    "on_tool_error",
    "register_tool",
    "run_agent",
    "run_agent_sync",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _aliases.resolve(name, __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_aliases.register()
