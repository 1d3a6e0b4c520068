"""JSON Schema checks that run in a child process: whether a schema is valid, and whether a result fits it (schemas.py).

References that double at each step and patterns that backtrack would take forever: both end with the child.
"""

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn, cast

from worker.bounded import Refused

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def check(schema: dict[str, Any]) -> None:
    """Raise Refused if the value is not a valid JSON Schema."""
    _validator(schema)


def fitted(text: str, schema: dict[str, Any] | None) -> dict[str, str]:
    """Check JSON text against a schema. References to other documents are never fetched.

    Returns:
        ``{"text"}``, the same value as JSON text, or ``{"unfit", "at"}``: the problem, and its place if known.

    Raises:
        Refused: The schema cannot be applied.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        wrong = None if schema is None else _problem(schema, value)
        if wrong is not None:
            return {"unfit": wrong[0], "at": wrong[1]}
        return {"text": json.dumps(value, ensure_ascii=False)}
    except ValueError as error:
        return {"unfit": f"not valid JSON: {error}"}
    except RecursionError:
        return {"unfit": "nested too deeply"}


def _problem(schema: dict[str, Any], value: Any) -> tuple[str, str] | None:
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(schema).iter_errors(value))
    except Unresolvable as missing:
        raise Refused(f"the reference {missing.ref!r} is not defined in the schema") from missing
    except RecursionError:
        raise Refused("the schema refers to itself without end, or is nested too deeply") from None
    except re.error as error:
        raise Refused(f"a pattern is not a valid regular expression: {error}") from None
    if error is None:
        return None
    where = "/".join(str(part) for part in error.absolute_path)
    missing = _missing(error.message) if error.validator == "required" else ""
    return f"{error.message} (at {where})" if where else error.message, "/".join(filter(None, (where, missing)))


def _missing(message: str) -> str:
    """Return the field that a message of jsonschema reports missing: ``'name' is a required property``."""
    found = re.match(r"'([^']*)' is a required", message)
    return found.group(1) if found else ""


def _validator(schema: dict[str, Any]) -> "Validator":
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY

    made = cast("Any", validator_for(schema, default=Draft202012Validator))
    try:
        made.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise Refused(f"{error.message} (at {where})" if where else error.message) from error
    except RecursionError:
        raise Refused("the schema is nested too deeply") from None
    return made(schema, registry=REGISTRY)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed in JSON")
