"""Results of knowledge bases."""

from datetime import datetime

from worker.words.tasks import Words


class KnowledgeBaseDocumentItem(Words):
    """A document in a knowledge base."""

    id: str
    document_url: str
    added_at: datetime


class KnowledgeBaseSearchResult(Words):
    """A passage found; ``score`` from 0.0 to 1.0."""

    content: str
    score: float
