"""JSON Schemas of results: checking them, applying them to results, and converting them to each provider's format."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused
from worker.words.errors import Unavailable, ValidationError

SCHEMA_NAME = "result"  # providers want a name of letters, digits, _ and -
BOUNDS = Bounds(seconds=5, answer=64 * 1024 * 1024)
"""Limits of a check in a child process; a result of 10 MiB, the largest that is stored, takes about one second."""

NARROWED_BYTES = (
    100_000  # of a schema that is converted to Claude's form, which takes 30 ms; larger ones go into the prompt
)

_WORK = "worker.bounded.json_schema"


async def check(schema: dict[str, Any]) -> None:
    """Check that a value is a valid JSON Schema.

    Raises:
        ValidationError: The schema is not valid, with the place of the error, or checking it takes too long.
        Unavailable: No child process could be started for the check.
    """
    await _ask(f"{_WORK}:check", "is not a valid JSON Schema", schema)


async def fitted(text: str, schema: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Check JSON text against a schema. References to other documents are never fetched.

    Args:
        text: The text, which should be JSON.
        schema: The schema to apply; None accepts any JSON.

    Returns:
        The value as JSON text and None, or None and a description of the mismatch.

    Raises:
        ValidationError: The schema cannot be applied, or applying it takes too long.
        Unavailable: No child process could be started for the check.
    """
    found = await _ask(f"{_WORK}:fitted", "cannot be applied", text, schema)
    return found.get("text"), found.get("unfit")


async def _ask(function: str, verdict: str, *arguments: Any) -> Any:
    try:
        return await bounded.checks.run(function, *arguments, bounds=BOUNDS)
    except Refused as refused:
        raise ValidationError(f"output_schema {verdict}: {refused}", field="output_schema") from None
    except NotStarted as error:
        raise Unavailable(
            f"a result could not be checked because no process could be started ({error})", retry_after=5
        ) from error
    except BoundedError as error:
        raise ValidationError(f"output_schema {verdict}: {error}", field="output_schema") from None


def inner(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema itself if an agent's setting wraps it in a provider's format."""
    if schema.get("type") != "json_schema":
        return schema
    wrapper = schema.get("json_schema", schema)
    return wrapper.get("schema", schema) if isinstance(wrapper, dict) else schema


@dataclass(frozen=True, slots=True)
class SchemaRequest:
    """How to ask a model for a schema.

    Args:
        setting: The value for Agno's ``output_schema``; None if only the instruction asks for the schema.
        json_mode: Agno's ``use_json_mode``, which writes the schema into the prompt.
        instruction: An addition to the prompt.
    """

    setting: dict[str, Any] | None
    json_mode: bool = False
    instruction: str | None = None


def schema_request(model: Any, schema: dict[str, Any]) -> SchemaRequest:
    """Convert a schema to the format of a model's provider.

    OpenAI and compatible providers take ``{"type": "json_schema", "json_schema": {"name", "schema"}}``, Claude
    ``{"type": "json_schema", "schema"}`` in a narrower form; both require an object at the root. Gemini, Ollama and
    Mistral ignore a schema that is a dict, and others support JSON at best: for these the schema goes into the prompt.
    """
    families = {each.__name__ for each in type(model).__mro__}
    native = bool(model.supports_native_structured_outputs)
    if schema.get("type") != "object":
        return SchemaRequest(None, instruction=in_words(schema))
    if "Claude" in families:
        narrow = _for_claude(schema) if native else None
        return SchemaRequest(narrow) if narrow else SchemaRequest(None, instruction=in_words(schema))
    if model.supports_json_schema_outputs or (native and families & {"OpenAIChat", "OpenAIResponses"}):
        return SchemaRequest({"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}})
    return SchemaRequest(schema, json_mode=True)


def in_words(schema: dict[str, Any]) -> str:
    """Return a schema as an instruction, for models that accept no schema."""
    import json

    text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with JSON alone, without any other text. It must fit this JSON Schema:\n{text}"


def _for_claude(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Convert a schema to Claude's form; return None if Anthropic's helper cannot, or would block the event loop."""
    if len(to_json(schema)) > NARROWED_BYTES:
        return None
    try:
        from anthropic import transform_schema

        return {"type": "json_schema", "schema": transform_schema(schema)}
    except Exception:  # noqa: BLE001 - the helper may raise anything; the prompt carries the schema instead
        return None
