"""Division of documents into passages, and embedding of passages as vectors, wherever a knowledge base is stored.

Importing this module loads neither Agno nor a model; each is loaded on first use.
"""

from worker.knowledge.chunks import Text, divided
from worker.knowledge.embedders import embed, embed_all, named

__all__ = ["Text", "divided", "embed", "embed_all", "named"]
