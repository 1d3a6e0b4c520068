"""Values that are given as JSON, read the same way wherever a command takes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import typer

JSON_OR_FILE = "JSON_OR_FILE"
"""How help shows what is JSON itself, or the path of a file that holds it."""


def value_of(text: str | None) -> Any:
    """JSON, or the text itself where it is not JSON; None where nothing was given."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_of(text: str | bytes, hint: str, kind: type = dict, *, what: str = "it", example: str = "") -> Any:
    """Read JSON.

    Args:
        text: What was given.
        hint: The parameter that it was given for.
        kind: What it must be: ``dict``, an object, or ``list``.
        what: What holds it, for the error.
        example: Of what is wanted, for the error.

    Raises:
        typer.BadParameter: It is not JSON, or of another kind.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{what} is not JSON: {error}", param_hint=hint) from None
    if not isinstance(found, kind):
        such = f", such as {example}" if example else ""
        wanted = "object" if kind is dict else "list"
        raise typer.BadParameter(f"{what} holds no JSON {wanted}{such}", param_hint=hint)
    return found


def object_of(text: str | bytes, hint: str, *, example: str = "") -> dict[str, Any]:
    """Read a JSON object. Arguments and errors as of ``json_of``."""
    return cast("dict[str, Any]", json_of(text, hint, example=example))


def json_or_file(flag: str, kind: type = dict) -> Callable[[str], Any]:
    """Make the parser of an option that takes JSON itself, or the path of a file that holds it."""

    def parse(given: str) -> Any:
        if given.lstrip().startswith(("{", "[")):
            return json_of(given, flag, kind)
        path = Path(given)
        if not path.is_file():
            raise typer.BadParameter(f"there is no file {given!r}, and it is not JSON either", param_hint=flag)
        return json_of(path.read_bytes(), flag, kind, what=given)

    return parse


def source_of(given: str) -> str | Path:
    """Read what ``--file`` takes: a URL stays as it is, anything else is a path. Raises: typer.BadParameter."""
    from worker.face.uploads import SCHEMES

    scheme, colon, _ = given.partition(":")
    if colon and scheme.lower() in SCHEMES:
        return given
    path = Path(given)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {given!r}, and it is no URL either", param_hint="--file")
    return path
