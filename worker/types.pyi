from worker.face.knowledge import KnowledgeBaseDocumentItem as KnowledgeBaseDocumentItem
from worker.words.activity import AgentActivityThread as AgentActivityThread
from worker.words.activity import AgentActivityThreadAuth as AgentActivityThreadAuth
from worker.words.activity import AgentActivityThreadMessage as AgentActivityThreadMessage
from worker.words.activity import AgentActivityThreadMessageContent as AgentActivityThreadMessageContent
from worker.words.activity import AgentActivityThreadMessageType as AgentActivityThreadMessageType
from worker.words.activity import AgentActivityThreadReasoning as AgentActivityThreadReasoning
from worker.words.activity import AgentActivityThreadSubAgentTrigger as AgentActivityThreadSubAgentTrigger
from worker.words.activity import AgentActivityThreadToolCall as AgentActivityThreadToolCall
from worker.words.agents import Instructions as Instructions
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
