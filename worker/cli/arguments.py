"""Options that several commands have, and the parsing of JSON values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

JSON_OR_FILE = "JSON_OR_FILE"
"""The metavar for JSON, or the path of a file that holds it."""


def value_of(text: str | None) -> Any:
    """Return a value parsed as JSON, or the text itself if it is not JSON; None if nothing was given."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_of(text: str | bytes, hint: str, kind: type = dict, *, what: str = "the value", example: str = "") -> Any:
    """Parse JSON.

    Args:
        text: The text.
        hint: The parameter that it was given for.
        kind: The expected type: ``dict`` for an object, or ``list``.
        what: What contains the JSON, for the error.
        example: An example, for the error.

    Raises:
        typer.BadParameter: The text is not JSON, or of another type.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{what} is not JSON: {error}", param_hint=hint) from None
    if not isinstance(found, kind):
        such = f", such as {example}" if example else ""
        wanted = "object" if kind is dict else "list"
        raise typer.BadParameter(f"{what} does not contain a JSON {wanted}{such}", param_hint=hint)
    return found


def object_of(text: str | bytes, hint: str, *, example: str = "") -> dict[str, Any]:
    """Parse a JSON object. See ``json_of`` for arguments and errors."""
    return cast("dict[str, Any]", json_of(text, hint, example=example))


def json_or_file(flag: str, kind: type = dict) -> Callable[[str], Any]:
    """Return the parser of an option that accepts JSON, or the path of a file that holds it."""

    def parse(given: str) -> Any:
        if given.lstrip().startswith(("{", "[")):
            return json_of(given, flag, kind)
        path = Path(given)
        if not path.is_file():
            raise typer.BadParameter(f"{given!r} is neither JSON nor an existing file", param_hint=flag)
        return json_of(path.read_bytes(), flag, kind, what=given)

    return parse


def source_of(given: str) -> str | Path:
    """Parse the value of ``--file``: a URL stays text, anything else becomes a path.

    Raises:
        typer.BadParameter: The path does not lead to a file.
    """
    from worker.face.uploads import SCHEMES

    scheme, colon, _ = given.partition(":")
    if colon and scheme.lower() in SCHEMES:
        return given
    path = Path(given)
    if not path.is_file():
        raise typer.BadParameter(f"{given!r} is neither an existing file nor a URL", param_hint="--file")
    return path
