from worker.face.knowledge import KnowledgeBase as KnowledgeBase
from worker.face.knowledge import KnowledgeBases as KnowledgeBases
