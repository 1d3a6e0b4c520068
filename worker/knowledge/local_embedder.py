"""A small embedder that needs no provider, no download and no GPU: WordLlama, whose weights are in its wheel.

Each token has one vector, and a text's is their mean: a few microseconds a text, and nothing of word order. It finds
what says the same in other words; by names and rare words, PostgreSQL's own search finds more, and the two are fused.
"""

import asyncio
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from agno.knowledge.embedder.base import Embedder

MODEL = "l2_supercat_256"  # the one in the wheel; others would be downloaded
DIMENSIONS = 256

_lock = Lock()  # its tokenizer is set anew by each call


@dataclass
class LocalEmbedder(Embedder):
    """WordLlama as one of Agno's embedders; ``pip install 'agno-worker[embedder]'``.

    Args:
        id: Of the model.

    Raises:
        ValueError: There is another model in mind.
        ModuleNotFoundError: It is not installed.
    """

    id: str = MODEL
    dimensions: int | None = DIMENSIONS
    enable_batch: bool = True

    def __post_init__(self) -> None:
        if self.id != MODEL:
            raise ValueError(f"wordllama has the model {MODEL} in its wheel, and no {self.id!r}")
        if find_spec("wordllama") is None:
            raise ModuleNotFoundError("wordllama is not installed: pip install 'agno-worker[embedder]'")

    def get_embedding(self, text: str) -> list[float]:
        """The vector of a text."""
        return _vectors([text])[0]

    def get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        """The same; nothing is charged for."""
        return self.get_embedding(text), None

    async def async_get_embedding(self, text: str) -> list[float]:
        """The same, in a thread: the first call loads the model, in about a second."""
        return (await asyncio.to_thread(_vectors, [text]))[0]

    async def async_get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        """The same."""
        return await self.async_get_embedding(text), None

    async def async_get_embeddings_batch_and_usage(
        self, texts: list[str]
    ) -> tuple[list[list[float]], list[dict[str, Any] | None]]:
        """The vectors of many texts."""
        return await asyncio.to_thread(_vectors, texts), [None] * len(texts)


def _vectors(texts: list[str]) -> list[list[float]]:
    given = [each if each.strip() else "-" for each in texts]  # of nothing there is no mean
    with _lock:
        return _model().embed(given, norm=True).tolist()


@cache
def _model() -> Any:
    import wordllama  # pyright: ignore[reportMissingImports] - an extra

    # Its own look into the package misses a letter of the folder's name; as a cache the package is found whole.
    found: Any = wordllama.WordLlama
    return found.load(cache_dir=Path(str(wordllama.__file__)).parent, disable_download=True)
