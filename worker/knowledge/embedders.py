"""Embedders, which turn texts into vectors: any of Agno's, by a name of the form ``provider:model``.

A knowledge base stores only the name. The name is looked up in this table and among the embedders that this process
registered; it is never imported as a module, since it may come from outside.
"""

import asyncio
import copy
import math
from collections.abc import Sequence
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from worker.settings import Settings
from worker.words.classification import message_of
from worker.words.errors import ConfigurationError, ModuleException, ValidationError
from worker.words.model_names import is_address
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from agno.knowledge.embedder.base import Embedder

QUERY_SECONDS = 5.0  # for the vector of a query; after that the search is full-text alone
PASSAGES_SECONDS = 120.0
AT_ONCE = 4  # concurrent texts for an embedder without batches
TEXT_CHARACTERS = 8_000  # of a text, the rest is not embedded

PROVIDERS: dict[str, tuple[str, str]] = {
    "azure": ("azure_openai", "AzureOpenAIEmbedder"),
    "bedrock": ("aws_bedrock", "AwsBedrockEmbedder"),
    "cohere": ("cohere", "CohereEmbedder"),
    "fastembed": ("fastembed", "FastEmbedEmbedder"),
    "fireworks": ("fireworks", "FireworksEmbedder"),
    "google": ("google", "GeminiEmbedder"),
    "huggingface": ("huggingface", "HuggingfaceCustomEmbedder"),
    "jina": ("jina", "JinaEmbedder"),
    "langdb": ("langdb", "LangDBEmbedder"),
    "mistral": ("mistral", "MistralEmbedder"),
    "nebius": ("nebius", "NebiusEmbedder"),
    "ollama": ("ollama", "OllamaEmbedder"),
    "openai": ("openai", "OpenAIEmbedder"),
    "sentence-transformers": ("sentence_transformer", "SentenceTransformerEmbedder"),
    "together": ("together", "TogetherEmbedder"),
    "voyageai": ("voyageai", "VoyageAIEmbedder"),
}
"""Agno's module and class by provider."""

OWN = {"wordllama": ("worker.knowledge.local_embedder", "LocalEmbedder")}
"""Our own module and class by provider."""

LOADED = frozenset({"fastembed", "sentence-transformers"})
"""Providers that load any named model into the process: only the operator may name these, not a client."""

KNOWN = {**{name: (f"agno.knowledge.embedder.{module}", kind) for name, (module, kind) in PROVIDERS.items()}, **OWN}

_known: "dict[str, Embedder]" = {}
_of_loops: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[Embedder, Embedder]]]" = WeakKeyDictionary()
_lock = Lock()


def named(embedder: "Embedder | str", name: str | None = None) -> str:
    """Return the name of an embedder, and register the embedder in this process under that name.

    Args:
        embedder: A name, or one of Agno's embedders.
        name: The name to use; the default is ``provider:model``, with the class name if the class is not Agno's.

    Raises:
        ConfigurationError: There is no such provider.
    """
    if isinstance(embedder, str):
        provider = embedder.partition(":")[0]
        if embedder not in _known and provider not in KNOWN:
            raise ConfigurationError(
                f"unknown embedder {embedder!r}: use one of the providers {', '.join(sorted(KNOWN))}, as in"
                " openai:text-embedding-3-small, or pass your own with embedder=YourEmbedder(…)"
            )
        return embedder
    kind = type(embedder).__name__
    provider = next((key for key, (_, known) in KNOWN.items() if known == kind), kind)
    model = str(getattr(embedder, "id", "") or "default")
    chosen = name or f"{provider}:{model}"
    with _lock:
        _known[chosen] = embedder
    return chosen


async def embed(name: str, text: str, seconds: float = QUERY_SECONDS) -> Sequence[float] | None:
    """Return the vector of a query; None if it cannot be made now, or takes too many seconds, which is logged."""
    try:
        async with asyncio.timeout(seconds):
            embedder = await _here(name)
            return _checked([await _vector(embedder, text)])[0]
    except TimeoutError:
        _trouble(ModuleException(504, f"{name} did not answer within {seconds:g} s"))
    except Exception as error:  # noqa: BLE001 - full-text search continues, whatever an embedder raises
        _trouble(error if isinstance(error, ModuleException) else ModuleException(502, f"{name}: {message_of(error)}"))
    return None


async def embed_all(name: str, texts: Sequence[str]) -> list[tuple[float, ...]]:
    """Return the vectors of passages.

    Raises:
        ConfigurationError: This process has no such embedder.
        ModuleException: The embedder did not answer, or returned invalid vectors.
    """
    embedder = await _here(name)
    given = [each[:TEXT_CHARACTERS] for each in texts]
    try:
        async with asyncio.timeout(PASSAGES_SECONDS):
            many = getattr(embedder, "async_get_embeddings_batch_and_usage", None)
            if many is not None and getattr(embedder, "enable_batch", False):
                vectors = (await many(given))[0]
            else:
                turns = asyncio.Semaphore(AT_ONCE)
                vectors = await asyncio.gather(*(_in_turn(turns, embedder, each) for each in given))
    except TimeoutError:
        raise ModuleException(504, f"{name} did not answer within {PASSAGES_SECONDS:g} s") from None
    if len(vectors) != len(given):
        raise ModuleException(502, f"{name} returned {len(vectors)} vectors for {len(given)} texts")
    return _checked(vectors)


async def _here(name: str) -> "Embedder":
    """Return a copy of the embedder for this event loop, since connections belong to the loop that opened them."""
    mine = _of_loops.setdefault(asyncio.get_running_loop(), {})
    made = await asyncio.to_thread(_embedder_named, name)
    known = mine.get(name)
    if known is None or known[0] is not made:
        known = mine[name] = made, copy.copy(made)
    return known[1]


async def _in_turn(turns: asyncio.Semaphore, embedder: "Embedder", text: str) -> Any:
    async with turns:
        return await _vector(embedder, text)


async def _vector(embedder: "Embedder", text: str) -> Any:
    """Return one vector, computed in a thread if the embedder has no async method of its own."""
    own = type(embedder)
    base = _base()
    if own.async_get_embedding is not base.async_get_embedding:
        return await embedder.async_get_embedding(text)
    return await asyncio.to_thread(embedder.get_embedding, text)


def _checked(vectors: Sequence[Any]) -> list[tuple[float, ...]]:
    checked: list[tuple[float, ...]] = []
    for each in vectors:
        vector = tuple(float(value) for value in (each if each is not None else ()))
        if not vector or not all(map(math.isfinite, vector)):
            raise ValidationError("the embedder returned an invalid vector", field="vector")
        checked.append(vector)
    return checked


def _embedder_named(name: str) -> "Embedder":
    """Return the embedder of a name, created once per process.

    Raises:
        ConfigurationError: The embedder is unknown, not allowed, or cannot be created.
    """
    with _lock:
        found = _known.get(name)
        if found is None:
            provider, _, model = name.partition(":")
            if provider not in KNOWN or is_address(name):
                raise ConfigurationError(f"this process has no embedder {name!r}")
            if provider in LOADED and name != Settings().embedder:
                raise ConfigurationError(
                    f"{name!r} would have to be loaded from a file or the internet, which a knowledge base alone"
                    " cannot request: name it in WORKER_EMBEDDER, or create the embedder in this process"
                )
            module, kind = KNOWN[provider]
            try:
                made = getattr(import_module(module), kind)
                found = made(id=model) if model and model != "default" else made()
                found.enable_batch = True  # many texts per request, if the embedder supports it
            except Exception as error:
                raise ConfigurationError(f"the embedder {name!r} cannot be created: {message_of(error)}") from error
            _known[name] = found
        return found


def _base() -> Any:
    from agno.knowledge.embedder.base import Embedder

    return Embedder


def _trouble(error: ModuleException) -> None:
    announce(PlatformTrouble(doing="computing the vector of a search query", error=error))
