"""Conversion of a JSON Schema to a pydantic model."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

TYPES: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
PARAMETERS = ("body_params", "query_params", "path_params")


class AgentOutput(BaseModel):
    """The form of an agent's results.

    Args:
        output_schema: A pydantic model of the results; None unless the format is JSON and the agent has a schema.
        is_markdown: Whether the results are Markdown.
        use_json_mode: Whether the results are JSON.
    """

    output_schema: type[BaseModel] | None = None
    is_markdown: bool = False
    use_json_mode: bool = False


def build_model_from_schema(
    model_name: str,
    schema: Mapping[str, Any],
    with_defaults: bool | None = False,
    inject_workspace_path: bool = True,
) -> type[BaseModel]:
    """Build a pydantic model from the properties of a JSON Schema.

    Args:
        model_name: The model's name.
        schema: The JSON Schema of an object.
        with_defaults: Give a schema without properties ``body_params``, ``query_params`` and ``path_params``.
        inject_workspace_path: Ignored; accepted for xpander-sdk. There are no workspaces here.

    Returns:
        The model. A property that is not required may be omitted; it is then its default, or None.
    """
    del inject_workspace_path
    properties: Mapping[str, Any] = schema.get("properties") or {}
    if with_defaults and not properties:
        properties = {name: {"type": "object", "default": {}} for name in PARAMETERS}
    required = schema.get("required") or ()
    fields = {
        name: _field(f"{model_name}_{name}", each, is_required=name in required) for name, each in properties.items()
    }
    return create_model(
        model_name,
        __config__=ConfigDict(protected_namespaces=()),
        __doc__=schema.get("description"),
        **cast("dict[str, Any]", fields),
    )


def _field(name: str, schema: Mapping[str, Any], *, is_required: bool) -> tuple[Any, Any]:
    kind, description = _type(name, schema), schema.get("description")
    if "default" in schema:
        return kind, Field(default=schema["default"], description=description)
    if is_required:
        return kind, Field(description=description)
    return kind | None, Field(default=None, description=description)


def _type(name: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return Literal[tuple(schema["enum"])]
    several = schema.get("anyOf") or schema.get("oneOf")
    kind = schema.get("type")
    if isinstance(kind, list):
        several = [{**schema, "type": each} for each in cast("list[str]", kind)]
    if several:
        return reduce(or_, [_type(f"{name}_{number}", each) for number, each in enumerate(several)])
    if kind == "array":
        return list[_type(f"{name}_item", schema["items"])] if schema.get("items") else list[Any]
    if kind == "object" or "properties" in schema:
        return build_model_from_schema(name, schema) if schema.get("properties") else dict[str, Any]
    return TYPES.get(str(kind), Any)
