"""Command options generated from the tables in ``words/task_options.py``."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from worker.cli.arguments import JSON_OR_FILE, json_or_file
from worker.words.task_options import Option


def takes(options: Sequence[Option], *, called: str = "options", **defaults: Any) -> Any:
    """Add options to a command.

    Args:
        options: The options.
        called: The command's keyword that receives the given values, as a dictionary by name.
        defaults: Default values of options.

    Returns:
        A decorator for the command's function.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**given: Any) -> None:
            said = {each.name: given.pop(each.name) for each in options}
            function(**given, **{called: {name: value for name, value in said.items() if value is not None}})

        own = inspect.signature(function)
        added = [_parameter(each, defaults.get(each.name)) for each in options]
        kept = [each for each in own.parameters.values() if each.name != called]
        last = next((place for place, each in enumerate(kept) if each.name in LAST), len(kept))
        parameters = [*kept[:last], *added, *kept[last:]]
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] - typer reads it
        return command

    return decorate


LAST = ("wait", "as_json")
"""Options that a command shows after the generated ones."""


def _parameter(option: Option, default: Any) -> inspect.Parameter:
    flag = f"--{option.flag or option.name.replace('_', '-')}"
    if option.kind in (dict, list):
        kind, info = (
            str,
            typer.Option(flag, metavar=JSON_OR_FILE, parser=json_or_file(flag, option.kind), help=option.text),
        )
    else:
        kind, info = (
            option.kind,
            typer.Option(flag, help=option.text, min=option.least, max=option.most, show_default=default is not None),
        )
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind | None, info]
    )
