from worker.words.tools import ToolInvocationResult as ToolInvocationResult
