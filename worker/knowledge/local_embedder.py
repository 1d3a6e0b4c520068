"""A small embedder without provider, download or GPU: WordLlama, whose weights come with its wheel.

Each token has one vector, and a text's vector is their mean: it takes a few microseconds per text and ignores word
order. It finds paraphrases; PostgreSQL's full-text search is better at names and rare words, and the two are combined.
"""

import asyncio
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from agno.knowledge.embedder.base import Embedder

MODEL = "l2_supercat_256"  # the one in the wheel; any other would be downloaded
DIMENSIONS = 256

_lock = Lock()  # each call reconfigures the tokenizer


@dataclass
class LocalEmbedder(Embedder):
    """WordLlama as an Agno embedder; ``pip install 'agno-worker[embedder]'``.

    Args:
        id: The name of the model.

    Raises:
        ValueError: The model is not the one in the wheel.
        ModuleNotFoundError: WordLlama is not installed.
    """

    id: str = MODEL
    dimensions: int | None = DIMENSIONS
    enable_batch: bool = True

    def __post_init__(self) -> None:
        if self.id != MODEL:
            raise ValueError(f"wordllama includes only the model {MODEL}, not {self.id!r}")
        if find_spec("wordllama") is None:
            raise ModuleNotFoundError("wordllama is not installed: pip install 'agno-worker[embedder]'")

    def get_embedding(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return _vectors([text])[0]

    def get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        """Return the vector of a text, and None for the usage, since nothing is charged."""
        return self.get_embedding(text), None

    async def async_get_embedding(self, text: str) -> list[float]:
        """Async version of ``get_embedding``, in a thread: the first call loads the model in about a second."""
        return (await asyncio.to_thread(_vectors, [text]))[0]

    async def async_get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        """Async version of ``get_embedding_and_usage``."""
        return await self.async_get_embedding(text), None

    async def async_get_embeddings_batch_and_usage(
        self, texts: list[str]
    ) -> tuple[list[list[float]], list[dict[str, Any] | None]]:
        """Return the vectors of many texts, and None for each usage."""
        return await asyncio.to_thread(_vectors, texts), [None] * len(texts)


def _vectors(texts: list[str]) -> list[list[float]]:
    given = [each if each.strip() else "-" for each in texts]  # an empty text has no tokens to average
    with _lock:
        return _model().embed(given, norm=True).tolist()


@cache
def _model() -> Any:
    import wordllama  # pyright: ignore[reportMissingImports] - an extra

    # Its own search misspells the package's folder, but finds the files if the package is given as the cache.
    found: Any = wordllama.WordLlama
    return found.load(cache_dir=Path(str(wordllama.__file__)).parent, disable_download=True)
