from worker.words.statuses import AgentExecutionStatus as AgentExecutionStatus
from worker.words.statuses import LLMReasoningEffort as LLMReasoningEffort
from worker.words.tasks import AgentExecutionInput as AgentExecutionInput
from worker.words.tasks import LocalTaskTest as LocalTaskTest
