from worker.words.knowledge import AgentKnowledgeBase as AgentKnowledgeBase
