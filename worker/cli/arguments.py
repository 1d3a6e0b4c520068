"""Values that are given as JSON, read the same way wherever a command takes them."""

import json
from typing import Any, cast

import typer


def value_of(text: str | None) -> Any:
    """JSON, or the text itself where it is none; None where nothing was given."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def object_of(text: str | bytes, hint: str, *, what: str = "it", example: str = "") -> dict[str, Any]:
    """A JSON object.

    Args:
        text: What was given.
        hint: The parameter that it was given for.
        what: What holds it, for the error.
        example: Of what is wanted, for the error.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{what} is not JSON: {error}", param_hint=hint) from None
    if not isinstance(found, dict):
        such = f", such as {example}" if example else ""
        raise typer.BadParameter(f"{what} holds no JSON object{such}", param_hint=hint)
    return cast("dict[str, Any]", found)
