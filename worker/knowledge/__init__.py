"""Documents as passages, and passages as vectors: what a knowledge base is made of, wherever it is kept.

Importing this module loads neither Agno nor a model; each comes with its first use.
"""

from worker.knowledge.chunks import Text, divided
from worker.knowledge.embedders import embed, embed_all, named

__all__ = ["Text", "divided", "embed", "embed_all", "named"]
