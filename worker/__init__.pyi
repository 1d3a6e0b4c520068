from worker.agents.tools.tools import declare_tool as declare_tool
from worker.current import idempotency_key as idempotency_key
from worker.decorators import on as on
from worker.decorators import on_boot as on_boot
from worker.decorators import on_shutdown as on_shutdown
from worker.decorators import on_task as on_task
from worker.decorators import on_tool_after as on_tool_after
from worker.decorators import on_tool_before as on_tool_before
from worker.decorators import on_tool_error as on_tool_error
from worker.decorators import register_tool as register_tool
from worker.decorators import tool as tool
from worker.face.agent import Agent as Agent
from worker.face.agent import AgentsListItem as AgentsListItem
from worker.face.agents import Agents as Agents
from worker.face.agno_db import agno_db as agno_db
from worker.face.backend import Backend as Backend
from worker.face.configuration import Configuration as Configuration
from worker.face.context import Context as Context
from worker.face.knowledge import KnowledgeBase as KnowledgeBase
from worker.face.knowledge import KnowledgeBaseDocumentItem as KnowledgeBaseDocumentItem
from worker.face.knowledge import KnowledgeBases as KnowledgeBases
from worker.face.listening import Events as Events
from worker.face.listening import on_auth_event as on_auth_event
from worker.face.running import run_agent as run_agent
from worker.face.running import run_agent_sync as run_agent_sync
from worker.face.schema_models import build_model_from_schema as build_model_from_schema
from worker.face.task import Task as Task
from worker.face.task_lists import TasksListItem as TasksListItem
from worker.face.tasks import Tasks as Tasks
from worker.face.tools import Tool as Tool
from worker.face.tools import ToolsRepository as ToolsRepository
from worker.words.activity import AgentActivityThread as AgentActivityThread
from worker.words.activity import AgentActivityThreadAuth as AgentActivityThreadAuth
from worker.words.activity import AgentActivityThreadMessage as AgentActivityThreadMessage
from worker.words.activity import AgentActivityThreadMessageContent as AgentActivityThreadMessageContent
from worker.words.activity import AgentActivityThreadMessageType as AgentActivityThreadMessageType
from worker.words.activity import AgentActivityThreadReasoning as AgentActivityThreadReasoning
from worker.words.activity import AgentActivityThreadSubAgentTrigger as AgentActivityThreadSubAgentTrigger
from worker.words.activity import AgentActivityThreadToolCall as AgentActivityThreadToolCall
from worker.words.agents import Instructions as Instructions
from worker.words.errors import ChildFailed as ChildFailed
from worker.words.errors import ConfigurationError as ConfigurationError
from worker.words.errors import Conflict as Conflict
from worker.words.errors import GiveUp as GiveUp
from worker.words.errors import LeaseLost as LeaseLost
from worker.words.errors import ModuleException as ModuleException
from worker.words.errors import NotFound as NotFound
from worker.words.errors import ProviderUnreachableError as ProviderUnreachableError
from worker.words.errors import Unavailable as Unavailable
from worker.words.errors import ValidationError as ValidationError
from worker.words.events import Note as Note
from worker.words.events import Reasoning as Reasoning
from worker.words.events import SubAgentTrigger as SubAgentTrigger
from worker.words.events import TaskUpdateEvent as TaskUpdateEvent
from worker.words.events import Thought as Thought
from worker.words.events import ToolCallRequest as ToolCallRequest
from worker.words.events import ToolCallResult as ToolCallResult
from worker.words.knowledge import AgentKnowledgeBase as AgentKnowledgeBase
from worker.words.knowledge import KnowledgeBaseSearchResult as KnowledgeBaseSearchResult
from worker.words.knowledge import KnowledgeBaseType as KnowledgeBaseType
from worker.words.plans import MAX_PLAN_RETRIES as MAX_PLAN_RETRIES
from worker.words.plans import PROMISE_CONTINUATION_NUDGE as PROMISE_CONTINUATION_NUDGE
from worker.words.plans import is_promise_only_answer as is_promise_only_answer
from worker.words.protocol import AgentDeploymentType as AgentDeploymentType
from worker.words.protocol import MCPServerAuthType as MCPServerAuthType
from worker.words.protocol import MCPServerDetails as MCPServerDetails
from worker.words.protocol import MCPServerSSOTokenMode as MCPServerSSOTokenMode
from worker.words.protocol import MCPServerTransport as MCPServerTransport
from worker.words.protocol import MCPServerType as MCPServerType
from worker.words.protocol import Principal as Principal
from worker.words.protocol import PrincipalKind as PrincipalKind
from worker.words.requests import InputAnswer as InputAnswer
from worker.words.requests import InputRequest as InputRequest
from worker.words.requests import OpenRequest as OpenRequest
from worker.words.requests import ReceivedAnswer as ReceivedAnswer
from worker.words.requests import RequestKind as RequestKind
from worker.words.retry import RetryPolicy as RetryPolicy
from worker.words.statuses import AgentExecutionStatus as AgentExecutionStatus
from worker.words.statuses import LLMReasoningEffort as LLMReasoningEffort
from worker.words.statuses import OutputFormat as OutputFormat
from worker.words.statuses import TaskUpdateEventType as TaskUpdateEventType
from worker.words.statuses import ThinkMode as ThinkMode
from worker.words.tasks import AgentExecutionInput as AgentExecutionInput
from worker.words.tasks import DeepPlanning as DeepPlanning
from worker.words.tasks import LocalTaskTest as LocalTaskTest
from worker.words.tasks import PlanStep as PlanStep
from worker.words.tasks import Tokens as Tokens
from worker.words.tasks import User as User
from worker.words.tools import ToolInvocationResult as ToolInvocationResult

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
