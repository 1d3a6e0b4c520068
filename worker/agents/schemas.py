"""JSON Schemas of results: checked themselves, applied to results, and put the way each provider wants them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from worker.words.errors import ValidationError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMA_NAME = "result"  # providers want a name of letters, digits, _ and -


def validator(schema: dict[str, Any]) -> "Validator":
    """Make what checks values against a schema. References to other documents are never fetched.

    Raises:
        ValidationError: It is no JSON Schema, says where.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY

    made = cast("Any", validator_for(schema, default=Draft202012Validator))
    try:
        made.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        place = f" at {where}" if where else ""
        raise ValidationError(
            f"output_schema is no valid JSON Schema{place}: {error.message}", field="output_schema"
        ) from error
    return made(schema, registry=REGISTRY)


def problem(checker: "Validator", value: Any) -> str | None:
    """What about a value does not fit the schema, and where; none if it fits.

    Raises:
        ValidationError: The schema refers to something that is not in it.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(checker.iter_errors(value))
    except Unresolvable as missing:
        raise ValidationError(
            f"output_schema refers to {missing.ref!r}, which is not in it", field="output_schema"
        ) from missing
    if error is None:
        return None
    where = "/".join(str(part) for part in error.absolute_path)
    return f"{error.message} (at {where})" if where else error.message


def inner(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema itself, where an agent's own setting wraps it the way a provider wants it."""
    if schema.get("type") != "json_schema":
        return schema
    wrapper = schema.get("json_schema", schema)
    return wrapper.get("schema", schema) if isinstance(wrapper, dict) else schema


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked for a schema.

    Args:
        setting: What Agno's ``output_schema`` is set to; none: the instruction alone asks.
        json_mode: Agno's ``use_json_mode``: it writes the schema into the prompt.
        instruction: What the prompt says besides.
    """

    setting: dict[str, Any] | None
    json_mode: bool = False
    instruction: str | None = None


def asking(model: Any, schema: dict[str, Any]) -> Asking:
    """Put a schema the way a model's provider wants it.

    OpenAI and those who speak its language take ``{"type": "json_schema", "json_schema": {"name", "schema"}}``, Claude
    ``{"type": "json_schema", "schema"}`` in a narrower form; both want an object at the root. Gemini, Ollama and
    Mistral pass over a schema that is a dict, and others know JSON at best: there it stands in the prompt.
    """
    families = {each.__name__ for each in type(model).__mro__}
    native = bool(model.supports_native_structured_outputs)
    if schema.get("type") != "object":
        return Asking(None, instruction=in_words(schema))
    if "Claude" in families:
        narrow = _for_claude(schema) if native else None
        return Asking(narrow) if narrow else Asking(None, instruction=in_words(schema))
    if model.supports_json_schema_outputs or (native and families & {"OpenAIChat", "OpenAIResponses"}):
        return Asking({"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}})
    return Asking(schema, json_mode=True)


def in_words(schema: dict[str, Any]) -> str:
    """A schema as an instruction, for models that take none."""
    import json

    text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with JSON alone, without any other text. It must fit this JSON Schema:\n{text}"


def _for_claude(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Claude's form; none where its own helper cannot express the schema."""
    try:
        from anthropic import transform_schema

        return {"type": "json_schema", "schema": transform_schema(schema)}
    except Exception:  # noqa: BLE001 - the helper raises what it likes; the prompt still says it
        return None
