"""Results of tools and knowledge bases."""

from datetime import datetime
from typing import Any

from worker.words.tasks import Words


class ToolInvocationResult(Words):
    """What came of invoking a tool; ``execution_time`` in seconds."""

    result: Any = None
    is_success: bool
    error: str | None = None
    execution_time: float = 0.0


class KnowledgeBaseDocumentItem(Words):
    """A document in a knowledge base."""

    id: str
    document_url: str
    added_at: datetime


class KnowledgeBaseSearchResult(Words):
    """A passage found; ``score`` from 0.0 to 1.0."""

    content: str
    score: float
