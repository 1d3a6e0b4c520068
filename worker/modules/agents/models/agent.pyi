from worker.words.agents import Instructions as Instructions
from worker.words.statuses import LLMReasoningEffort as LLMReasoningEffort
