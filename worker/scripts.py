"""Handlers in a script: ``python handler.py`` is a worker, ``python handler.py --invoke --prompt "…"`` runs one task.

At its end, a script that bound a handler with ``@on_task`` is replaced by ``worker run --handlers handler.py`` (or
``worker invoke``) under the same process id: a worker needs the main thread, and its child processes find the handlers
by the file. A script that raised, or that ran a worker itself, is left alone.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = str(Path(__file__).parents[1])  # the folder of this package, in case the script extended its own path

_state: dict[str, Any] = {}


def note(function: Callable[..., Any], test_task: Any = None) -> None:
    """Note that a handler has been bound. If that was in the running script, a worker starts at the script's end."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if getattr(function, "__module__", None) != "__main__" or not path or getattr(main, "__spec__", None) is not None:
        return
    if not path.endswith(".py") or ("command" in _state and test_task is None):
        return
    is_first = "command" not in _state
    where = os.path.abspath(path)  # noqa: PTH100 - unlike resolve(), this keeps symbolic links
    _state["command"] = arguments(where, sys.argv[1:], test_task)
    if not is_first:
        return
    former = sys.excepthook

    def raised(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        leave()
        former(kind, error, trace)

    sys.excepthook = raised
    # Threads can still be started at this point, but not in functions that `atexit` calls.
    getattr(threading, "_register_atexit")(_go_on)  # noqa: B009 - it has no public name


def leave() -> None:
    """Do not start a worker at the script's end."""
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
    """Return the arguments of the ``worker`` command that replaces the script.

    Args:
        path: The script.
        given: The script's own arguments.
        test_task: The task that the script is to run, if any.
    """
    if "--invoke" not in given and test_task is None:
        return ["run", "--handlers", path]
    import argparse

    parser = argparse.ArgumentParser(prog=Path(path).name, description="Run one task with the handler.")
    parser.add_argument("--invoke", action="store_true", help="run one task instead of a worker")
    parser.add_argument("--prompt", required="--invoke" in given, help="the prompt")
    parser.add_argument("--output_format", choices=["json", "markdown", "text"], help="format of the result")
    parser.add_argument("--output_schema", help="JSON Schema, as text, that the result must match")
    known, _ = parser.parse_known_args(list(given))
    prompt, form, schema = known.prompt, known.output_format, known.output_schema
    if not known.invoke:
        import json

        prompt, form = test_task.input.text, test_task.output_format
        schema = None if test_task.output_schema is None else json.dumps(test_task.output_schema)
    options = ["--output-format", form] if form else []
    options += ["--output-schema", schema] if schema else []
    return ["invoke", "--handlers", path, *options, "--", prompt]
