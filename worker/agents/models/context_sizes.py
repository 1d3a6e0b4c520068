"""Context sizes of models in tokens: a small table by prefixes of model ids.

The figures are the providers' own, from their pages on models, as collected in genai-prices 0.2.3 (Pydantic, MIT;
November 2026); where figures differ, the smaller one: platform.claude.com/docs/en/about-claude/models/overview,
platform.openai.com/docs/models, ai.google.dev/gemini-api/docs/models, docs.mistral.ai/getting-started/models,
docs.x.ai/docs/models, api-docs.deepseek.com, docs.cohere.com/docs/models, platform.moonshot.ai/docs,
docs.aws.amazon.com/nova/latest/userguide. A missing model is treated like others of its family, and a missing family
like a small model; ``declare_capabilities`` sets the size for any model.
"""

import re
from functools import cache

CONTEXTS: dict[str, int] = {
    "claude": 200_000,
    **dict.fromkeys(("claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-sonnet-4-6"), 1_000_000),
    **dict.fromkeys(("claude-opus-5", "claude-sonnet-5", "claude-haiku-5"), 1_000_000),
    **dict.fromkeys(("claude-fable", "claude-mythos"), 1_000_000),
    "gpt-3.5": 16_385,
    "gpt-4": 8_192,
    **dict.fromkeys(("gpt-4-turbo", "gpt-4-0125", "gpt-4-1106", "gpt-4o", "gpt-4.5", "chatgpt-4o"), 128_000),
    "gpt-4.1": 1_000_000,
    "gpt-5": 400_000,
    **dict.fromkeys(("gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3"), 128_000),
    "gpt-5.3-codex": 400_000,
    **dict.fromkeys(("gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6"), 1_000_000),
    **dict.fromkeys(("gpt-5.4-mini", "gpt-5.4-nano"), 400_000),
    **dict.fromkeys(("gpt-audio", "gpt-oss"), 128_000),
    **dict.fromkeys(("o1", "o3", "o4-mini", "codex-mini"), 200_000),
    **dict.fromkeys(("o1-mini", "o1-preview"), 128_000),
    "gemini": 1_000_000,
    **dict.fromkeys(("gemini-1.0", "gemini-pro"), 32_000),
    **dict.fromkeys(("gemma-3", "gemma-4"), 128_000),
    **dict.fromkeys(("mistral-large", "mistral-medium", "mistral-small", "ministral", "pixtral"), 128_000),
    **dict.fromkeys(("codestral", "devstral"), 256_000),
    "mistral-large-4": 1_000_000,
    "deepseek": 64_000,
    **dict.fromkeys(("deepseek-v3", "deepseek.v3", "deepseek-r1", "deepseek.r1"), 128_000),
    **dict.fromkeys(("deepseek-v4", "deepseek-flash"), 1_000_000),
    "grok-2": 32_000,
    "grok-3": 131_000,
    "grok-4": 256_000,
    **dict.fromkeys(("grok-4-fast", "grok-4-1-fast", "grok-4.20", "grok-4.3"), 1_000_000),
    "llama-3": 8_000,
    **dict.fromkeys(("llama-3.1", "llama-3.2", "llama-3.3", "llama3-1", "llama3-2", "llama3-3"), 128_000),
    **dict.fromkeys(("llama-4", "llama4"), 128_000),
    "qwen": 32_000,
    "qwen3-coder": 128_000,
    "kimi-k2": 131_000,
    "kimi-k3": 1_000_000,
    "command-r": 128_000,
    "command-a": 128_000,
    "nova-micro": 128_000,
    **dict.fromkeys(("nova-lite", "nova-pro"), 300_000),
    **dict.fromkeys(("nova-premier", "nova-2"), 1_000_000),
}
"""Context sizes in tokens by prefix of the model's id; the longest matching prefix counts."""

HOSTED = ("claude", "gemini", "gpt-3.5", "gpt-4", "gpt-5", "gpt-6", "grok-", "o1", "o3", "o4-")
"""Models that cannot be self-hosted: a server that offers one of these names is a gateway to the provider."""


def context_of(model_id: str) -> int | None:
    """Return a model's context size in tokens; None if the table has no matching prefix.

    Args:
        model_id: The provider's id of the model, optionally after a prefix such as ``us.anthropic.`` or ``openai/``.
    """
    found = _beginnings().search(model_id.lower())
    return None if found is None else CONTEXTS[found.group(1)]


def is_hosted(model_id: str) -> bool:
    """Return whether a model runs only at its provider, even if a gateway offers it."""
    found = _beginnings().search(model_id.lower())
    return found is not None and found.group(1).startswith(HOSTED)


@cache
def _beginnings() -> re.Pattern[str]:
    longest_first = sorted(CONTEXTS, key=len, reverse=True)
    return re.compile(rf"(?:^|[/.:])({'|'.join(map(re.escape, longest_first))})")
