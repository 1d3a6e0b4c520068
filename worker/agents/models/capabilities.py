"""What each model accepts as input: a small table by provider and model, to which users can add.

The figures are the providers' own: platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support,
platform.openai.com/docs/guides/images-vision and …/pdf-files, ai.google.dev/gemini-api/docs/image-understanding,
…/media-resolution and …/document-processing, and at docs.aws.amazon.com/bedrock/latest/APIReference
API_runtime_ImageBlock.html and API_runtime_DocumentBlock.html. Where figures have changed over time, the table has the
smaller one; for tokens, the larger one.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from worker.agents.models.context_sizes import context_of, is_hosted
from worker.agents.models.models import default_model, named_model, shared_model, stand_in
from worker.words.models import COMMON_PICTURES, ModelCapabilities, PictureLimits, PictureTokens
from worker.words.tasks import TaskRecord

EVERYTHING = ModelCapabilities()
OPENAI = ModelCapabilities(  # no animated GIF
    pictures=PictureLimits(
        size=15 * 1024 * 1024,
        number=500,
        few=500,
        tokens=PictureTokens(32, 1.62, 2_500),  # 1,536 patches; models that use tiles of 512 pixels need fewer tokens
    ),
    page_tokens=1_000,
)
GEMINI = ModelCapabilities(
    pictures=PictureLimits(
        COMMON_PICTURES - {"image/gif"} | {"image/heic", "image/heif"},
        size=10 * 1024 * 1024,
        number=3_000,
        few=3_000,
        tokens=PictureTokens(most=1_120),
    ),
    audio=frozenset(f"audio/{each}" for each in ("wav", "mpeg", "aac", "aiff", "flac", "mp4", "ogg")),
    video=frozenset(f"video/{each}" for each in ("mp4", "mpeg", "quicktime", "webm", "x-msvideo", "x-flv", "3gpp")),
    request=14_000_000,  # of the 20 MB of a request, in which everything is base64
    pdf_pages=1_000,
    page_tokens=560,
)
BEDROCK = ModelCapabilities(
    pictures=PictureLimits(number=20), documents=5, document_size=4_500_000
)  # the Converse API, for models with vision
OPENAI_AUDIO = ModelCapabilities(pdfs=False, images=False, audio=frozenset({"audio/wav", "audio/mpeg"}))
SCRIPTED = ModelCapabilities(audio=GEMINI.audio, video=GEMINI.video)
TEXT_ALONE = ModelCapabilities(pdfs=False, images=False)
OWN_SERVER = replace(TEXT_ALONE, context=16_000, tools=False)  # llama.cpp, Ollama: often even less
IMAGES_ALONE = ModelCapabilities(pdfs=False, images=True)
SMALL_LOCAL = ModelCapabilities(
    pdfs=False, images=False, prompt_tokens=1_500, tools=False
)  # a prompt of 3,300 tokens takes SmolLM2 14 s

PROVIDERS: tuple[tuple[str, ModelCapabilities], ...] = (
    ("LMStudio", OWN_SERVER),
    ("LlamaCpp", OWN_SERVER),
    ("VLLM", OWN_SERVER),
    ("Ollama", OWN_SERVER),
    ("OpenAILike", TEXT_ALONE),  # could be any model: a text-only server answers 400 to a file
    ("OpenAIResponses", OPENAI),  # sends files as data URIs
    ("OpenAIChat", OPENAI),  # sends files as data URIs
    ("Claude", EVERYTHING),  # sends documents and images as separate blocks
    ("Gemini", GEMINI),  # sends documents and images as separate parts
    ("ScriptedModel", SCRIPTED),  # worker.testing: a test can inspect the files that it passed
)
"""Capabilities by the first of these Agno classes that a model inherits from; all other models accept text only."""

SEEING_ON_BEDROCK = ("anthropic.claude", "amazon.nova-lite", "amazon.nova-pro", "amazon.nova-premier", "amazon.nova-2")
"""Parts of the ids of Bedrock's models that accept pictures and documents."""

MORE_PAGES = 600  # PDF pages that Anthropic's own API accepts if the model's context has a million tokens
MILLION = 1_000_000

MODELS: tuple[tuple[str, ModelCapabilities], ...] = (
    ("smollm2", SMALL_LOCAL),
    ("gpt-3.5", TEXT_ALONE),
    ("o1-mini", TEXT_ALONE),
    ("o3-mini", TEXT_ALONE),
    ("gpt-4-turbo", IMAGES_ALONE),  # PDFs came with gpt-4o
    ("gpt-4o-audio", OPENAI_AUDIO),
    ("gpt-4o-mini-audio", OPENAI_AUDIO),
    ("gpt-audio", OPENAI_AUDIO),
)
"""Models that differ from their provider's others, by the prefix of their ids."""

_FEWER = PictureTokens(most=1_600)  # for 1,568 pixels on the longer side
PICTURE_TOKENS: tuple[tuple[str, PictureTokens], ...] = (
    *((f"claude-{each}", _FEWER) for each in ("2", "3", "haiku-4", "sonnet-4", "opus-4-0", "opus-4-1", "opus-4-2025")),
    *((f"claude-{each}", _FEWER) for each in ("opus-4-5", "opus-4-6")),
    ("gpt-5.5", PictureTokens(32, 1.2, 12_000)),  # 10,000 patches
    ("gpt-6", PictureTokens(32, 1.2, 75_000)),  # no limit on patches: measured, since it is not published
)
"""Models that use more or fewer tokens per picture than their provider's others, by a part of their ids."""

_declared: dict[str, ModelCapabilities] = {}


def declare_capabilities(
    model_id: str,
    *,
    pdfs: bool = True,
    images: bool = True,
    prompt_tokens: int | None = None,
    audio: Iterable[str] = (),
    video: Iterable[str] = (),
    context_tokens: int | None = None,
    tools: bool = True,
) -> None:
    """Declare the capabilities of a model that the table does not know, such as one behind your own OpenAI-like server.

    Args:
        model_id: Prefix of the model's id, case-insensitive; the longest matching prefix counts.
        pdfs: Whether the model accepts PDF files; otherwise their text is sent.
        images: Whether the model accepts images; otherwise a note is sent.
        prompt_tokens: Token limit for the text of files; None means half of the context.
        audio: Media types of audio that the model accepts, such as `audio/wav` and `audio/mpeg`, if Agno's class of the
            model sends audio; for other audio a note is sent.
        video: Media types of video that the model accepts, such as `video/mp4`.
        context_tokens: Size of the context in tokens; None means the table's figure for a known model, else 32,000.
        tools: Whether the model can call tools: it is given tools that read the rest of truncated files.
    """
    _declared[model_id.lower()] = ModelCapabilities(
        pdfs,
        images,
        prompt_tokens,
        audio=frozenset(audio),
        video=frozenset(video),
        context=context_tokens,
        tools=tools,
    )


def capabilities(agent: Any, record: TaskRecord) -> ModelCapabilities:
    """Return the capabilities of the model that will run a task: an agent's, a team leader's, or the task's own choice.

    A workflow has no model; the model of its first agent counts, since that agent receives the files.

    Raises:
        ConfigurationError: The model named by the task or by default cannot be created, or no model is named at all.
    """
    model = _model(agent, record)
    return TEXT_ALONE if model is None else of_model(model)


def of_model(model: Any) -> ModelCapabilities:
    """Return the capabilities of one of Agno's models."""
    takes, known = _of_model(model), str(model.id)
    if takes is OWN_SERVER and is_hosted(known):
        return replace(takes, context=context_of(known), tools=True)
    if takes.context is None:
        takes = replace(takes, context=context_of(known))
    tokens = next((each for part, each in PICTURE_TOKENS if part in known.lower()), takes.pictures.tokens)
    if tokens != takes.pictures.tokens:
        takes = replace(takes, pictures=replace(takes.pictures, tokens=tokens))
    if takes.pdf_pages < MORE_PAGES and (takes.context or 0) >= MILLION and _is_anthropics(model):
        return replace(takes, pdf_pages=MORE_PAGES)
    return takes


def _is_anthropics(model: Any) -> bool:
    """Return whether a model is called at Anthropic itself; Bedrock and others have limits of their own."""
    return type(model).__name__ == "Claude" and type(model).__module__.startswith("agno.models.anthropic")


def _of_model(model: Any) -> ModelCapabilities:
    known = str(model.id).lower()
    declared = [prefix for prefix in _declared if known.startswith(prefix)]
    if declared:
        return _declared[max(declared, key=len)]
    for prefix, capable in MODELS:
        if known.startswith(prefix) and not (capable.audio and _drops_audio(model)):
            return capable
    return _by_provider(model)


def is_local(model: Any) -> bool:
    """Return whether a model is served on this machine: an OpenAI-like server at a loopback address."""
    host = urlsplit(str(getattr(model, "base_url", None) or "")).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _drops_audio(model: Any) -> bool:
    """Return whether Agno's class of a model omits audio from requests; OpenAI takes audio in chat completions only."""
    return "OpenAIChat" not in {each.__name__ for each in type(model).__mro__}


def _by_provider(model: Any) -> ModelCapabilities:
    families = {each.__name__ for each in type(model).__mro__}
    if is_local(model):
        return OWN_SERVER
    own_server = getattr(model, "base_url", None) is not None and families & {"OpenAIChat", "OpenAIResponses"}
    if own_server and "api.openai.com" not in str(model.base_url):
        return TEXT_ALONE
    if "AwsBedrock" in families:
        return BEDROCK if any(each in str(model.id) for each in SEEING_ON_BEDROCK) else TEXT_ALONE
    return next((capable for name, capable in PROVIDERS if name in families), TEXT_ALONE)


def _model(agent: Any, record: TaskRecord) -> Any:
    replacement = stand_in.get()
    if replacement is not None:
        return replacement
    name = named_model(record)
    if name is not None:
        return shared_model(name)
    found = _first_model(agent)
    if found is None and not hasattr(agent, "steps"):
        return default_model()
    return found


def _first_model(thing: Any) -> Any:
    """Return the model of an agent or team leader, or of the first agent in a workflow's steps."""
    model = getattr(thing, "model", None)
    if model is not None:
        return model
    for attribute in ("agent", "team", "workflow"):
        inside = getattr(thing, attribute, None)
        found = _first_model(inside) if inside is not None else None
        if found is not None:
            return found
    for attribute in ("steps", "choices"):
        steps = getattr(thing, attribute, None)
        for step in steps if isinstance(steps, list) else [steps] if steps is not None else []:
            found = _first_model(step)
            if found is not None:
                return found
    return None
