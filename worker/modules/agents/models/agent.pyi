from worker.words.agents import Instructions as Instructions
from worker.words.protocol import AgentDeploymentType as AgentDeploymentType
from worker.words.statuses import LLMReasoningEffort as LLMReasoningEffort
