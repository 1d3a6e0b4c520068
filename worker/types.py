"""The types of the public contract: enumerations, records, events, and the activity log."""

from typing import TYPE_CHECKING, Any

from worker import aliases as _aliases

if TYPE_CHECKING:
    from worker.face.knowledge import KnowledgeBaseDocumentItem
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
    from worker.words.events import (
        Note,
        Reasoning,
        SubAgentTrigger,
        TaskUpdateEvent,
        Thought,
        ToolCallRequest,
        ToolCallResult,
    )
    from worker.words.knowledge import (
        AgentKnowledgeBase,
        KnowledgeBaseSearchResult,
        KnowledgeBaseType,
    )
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
    "DeepPlanning",
    "InputAnswer",
    "InputRequest",
    "Instructions",
    "KnowledgeBaseDocumentItem",
    "KnowledgeBaseSearchResult",
    "KnowledgeBaseType",
    "LLMReasoningEffort",
    "LocalTaskTest",
    "MCPServerAuthType",
    "MCPServerDetails",
    "MCPServerSSOTokenMode",
    "MCPServerTransport",
    "MCPServerType",
    "Note",
    "OpenRequest",
    "OutputFormat",
    "PlanStep",
    "Principal",
    "PrincipalKind",
    "Reasoning",
    "ReceivedAnswer",
    "RequestKind",
    "SubAgentTrigger",
    "TaskUpdateEvent",
    "TaskUpdateEventType",
    "ThinkMode",
    "Thought",
    "Tokens",
    "ToolCallRequest",
    "ToolCallResult",
    "ToolInvocationResult",
    "User",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _aliases.resolve(name, __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
