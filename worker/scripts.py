"""Handlers in a script: ``python handler.py`` is a worker, ``python handler.py --invoke --prompt "…"`` one task.

A script that binds a handler with ``@on_task`` is run again at its end as what ``worker run --handlers handler.py`` (or
``worker invoke``) runs, in the same process number: a worker needs its main thread, and its children find the handlers
by the file. A script that raised, or that runs a worker by itself, is left alone.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = str(Path(__file__).parents[1])  # where this package is, for a script that found it by its own path

_state: dict[str, Any] = {}


def note(function: Callable[..., Any], test_task: Any = None) -> None:
    """A handler has been bound; if that was in the script that is run, a worker follows it."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if getattr(function, "__module__", None) != "__main__" or not path or getattr(main, "__spec__", None) is not None:
        return
    if not path.endswith(".py") or ("command" in _state and test_task is None):
        return
    is_first = "command" not in _state
    where = os.path.abspath(path)  # noqa: PTH100 - links are left as they are
    _state["command"] = arguments(where, sys.argv[1:], test_task)
    if not is_first:
        return
    former = sys.excepthook

    def raised(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        leave()
        former(kind, error, trace)

    sys.excepthook = raised
    # Threads still start there, which they do not in what `atexit` calls.
    getattr(threading, "_register_atexit")(_go_on)  # noqa: B009 - it has no public name


def leave() -> None:
    """No worker follows the script."""
    _state["left"] = True


def _go_on() -> None:
    if _state.get("left"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    paths = [HERE, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, paths)))}
    command = [sys.executable, "-m", "worker", *_state["command"]]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted


def arguments(path: str, given: Sequence[str], test_task: Any = None) -> list[str]:
    """What the script goes on as.

    Args:
        path: The script.
        given: Its own arguments.
        test_task: The task that it is to do, if it says so.
    """
    if "--invoke" not in given and test_task is None:
        return ["run", "--handlers", path]
    import argparse

    parser = argparse.ArgumentParser(prog=Path(path).name, description="Do one task with the handler.")
    parser.add_argument("--invoke", action="store_true", help="do one task instead of running a worker")
    parser.add_argument("--prompt", required="--invoke" in given, help="what is asked")
    parser.add_argument("--output_format", choices=["json", "markdown", "text"], help="the form of the result")
    parser.add_argument("--output_schema", help="a JSON Schema, as text, that the result must fit")
    known, _ = parser.parse_known_args(list(given))
    prompt, form, schema = known.prompt, known.output_format, known.output_schema
    if not known.invoke:
        import json

        prompt, form = test_task.input.text, test_task.output_format
        schema = None if test_task.output_schema is None else json.dumps(test_task.output_schema)
    options = ["--output-format", form] if form else []
    options += ["--output-schema", schema] if schema else []
    return ["invoke", "--handlers", path, *options, "--", prompt]
