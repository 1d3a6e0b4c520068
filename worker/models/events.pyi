from worker.words.events import Reasoning as Reasoning
from worker.words.events import SubAgentTrigger as SubAgentTrigger
from worker.words.events import ToolCallRequest as ToolCallRequest
from worker.words.events import ToolCallResult as ToolCallResult
from worker.words.statuses import TaskUpdateEventType as TaskUpdateEventType
