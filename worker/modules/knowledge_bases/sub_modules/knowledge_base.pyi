from worker.face.knowledge import KnowledgeBase as KnowledgeBase
