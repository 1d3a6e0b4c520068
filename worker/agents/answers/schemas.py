"""JSON Schemas of results: checked themselves, applied to results, and put the way each provider wants them."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused
from worker.words.errors import Unavailable, ValidationError

SCHEMA_NAME = "result"  # providers want a name of letters, digits, _ and -
BOUNDS = Bounds(seconds=5, answer=64 * 1024 * 1024)
"""Of a check in a child process; a result of 10 MiB, the largest that is stored, takes about one second."""

NARROWED_BYTES = (
    100_000  # of a schema that is put into Claude's form: that takes 30 ms; larger ones stand in the prompt
)

_WORK = "worker.bounded.json_schema"


async def check(schema: dict[str, Any]) -> None:
    """Let pass what is a JSON Schema.

    Raises:
        ValidationError: It is none, says where; or finding that out takes too long.
        Unavailable: No child process could be started for it.
    """
    await _ask(f"{_WORK}:check", "is no valid JSON Schema", schema)


async def fitted(text: str, schema: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Tell whether JSON text fits a schema. References to other documents are never fetched.

    Args:
        text: What should be JSON.
        schema: What it should fit; None means any JSON will do.

    Returns:
        The value as JSON text, or none and what does not fit.

    Raises:
        ValidationError: The schema cannot be applied, or applying it takes too long.
        Unavailable: No child process could be started for it.
    """
    found = await _ask(f"{_WORK}:fitted", "cannot be applied", text, schema)
    return found.get("text"), found.get("unfit")


async def _ask(function: str, verdict: str, *arguments: Any) -> Any:
    try:
        return await bounded.checks.run(function, *arguments, bounds=BOUNDS)
    except Refused as refused:
        raise ValidationError(f"output_schema {verdict}: {refused}", field="output_schema") from None
    except NotStarted as error:
        raise Unavailable(f"no process could be started to check a result ({error})", retry_after=5) from error
    except BoundedError as error:
        raise ValidationError(f"output_schema {verdict}: {error}", field="output_schema") from None


def inner(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema itself, where an agent's own setting wraps it the way a provider wants it."""
    if schema.get("type") != "json_schema":
        return schema
    wrapper = schema.get("json_schema", schema)
    return wrapper.get("schema", schema) if isinstance(wrapper, dict) else schema


@dataclass(frozen=True, slots=True)
class SchemaRequest:
    """How a model is asked for a schema.

    Args:
        setting: What Agno's ``output_schema`` is set to; None means the instruction alone asks.
        json_mode: Agno's ``use_json_mode``: it writes the schema into the prompt.
        instruction: What the prompt says besides.
    """

    setting: dict[str, Any] | None
    json_mode: bool = False
    instruction: str | None = None


def asking(model: Any, schema: dict[str, Any]) -> SchemaRequest:
    """Put a schema the way a model's provider wants it.

    OpenAI and those who speak its language take ``{"type": "json_schema", "json_schema": {"name", "schema"}}``, Claude
    ``{"type": "json_schema", "schema"}`` in a narrower form; both want an object at the root. Gemini, Ollama and
    Mistral pass over a schema that is a dict, and others know JSON at best: there it stands in the prompt.
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
    """A schema as an instruction, for models that take none."""
    import json

    text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with JSON alone, without any other text. It must fit this JSON Schema:\n{text}"


def _for_claude(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Claude's form; none where its own helper cannot express the schema, or would hold up the event loop over it."""
    if len(to_json(schema)) > NARROWED_BYTES:
        return None
    try:
        from anthropic import transform_schema

        return {"type": "json_schema", "schema": transform_schema(schema)}
    except Exception:  # noqa: BLE001 - the helper raises what it likes; the prompt still says it
        return None
