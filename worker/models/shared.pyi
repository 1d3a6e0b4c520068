from worker.words.statuses import AgentExecutionStatus as AgentExecutionStatus
from worker.words.statuses import LLMReasoningEffort as LLMReasoningEffort
from worker.words.statuses import OutputFormat as OutputFormat
from worker.words.statuses import ThinkMode as ThinkMode
from worker.words.tasks import Tokens as Tokens
