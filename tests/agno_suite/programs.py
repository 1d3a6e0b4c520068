"""One pass of a program of Agno's cookbook: until its first run, which is made in place as the pass makes it."""

import contextlib
import json
import os
import runpy
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any, NoReturn

from tests.agents.object_graph import belonging_to_runs
from tests.agno_suite import observed
from tests.agno_suite.outermost import OutermostRun, take_in_hand
from tests.agno_suite.passes import CONVERTED, RECORDED, REPLAYED, Pass, substitute
from tests.agno_suite.provider import find_nothing
from worker.agents.instrumentation import install

BARE = ("bare", "again")
SERVED = "What can you tell me about 'Tokyo'?"


def run_program(program: str, way: str, result: Path) -> None:
    """Run a program until it has made a run; what came of that is written to a file.

    Args:
        program: Its file.
        way: The pass.
        result: The file.
    """
    observed.observe()

    async def carry_out(call: OutermostRun, _: object) -> Any:
        try:
            line = {"end": "ran", "kind": call.kind, **await _measured(call, way)}
        except BaseException as error:  # noqa: BLE001 - the pass ends with it
            line = {"end": "broke", "why": _short(error)}
        _write(result, {**line, "reach": dict(observed.reach.counts)})
        os._exit(0)

    take_in_hand(carry_out, substitute)
    if way not in BARE:
        install()
    _serve_one_run()
    find_nothing()
    sys.argv, sys.path[0] = [program], str(Path(program).parent)
    for name in [each for each in sys.modules if each == "tests" or each.startswith("tests.")]:
        del sys.modules[name]
    try:
        runpy.run_path(program, run_name="__main__")
    except BaseException as error:  # noqa: BLE001 - whatever a program does, it has made no run
        _write(result, {"end": "no run", "why": _short(error)})
    else:
        _write(result, {"end": "no run", "why": "it ended"})


async def _measured(call: OutermostRun, way: str) -> dict[str, Any]:
    """Make a run as a pass makes it, once or twice; what came of it."""
    lines: list[dict[str, Any]] = []
    made = Pass(
        {"bare": CONVERTED, "again": CONVERTED, "retry": REPLAYED}.get(way, RECORDED), reports=lambda: lines.append
    )
    leaks: list[str] = []
    for number in range(2 if way == "twice" else 1):
        call.number, call.options["session_id"] = number + 1, str(uuid.uuid4())  # a file may hold those of other passes
        with contextlib.suppress(Exception):
            await made.carry_out(call, _nobody)
        if way == "twice":
            leaks += belonging_to_runs(call.subject)
    return {**lines[0], **({"second": lines[1]["said"], "leaks": leaks[:10]} if way == "twice" else {})}


async def _nobody(_: object) -> None:
    pass


def _serve_one_run() -> None:
    """A program that serves agents makes no run by itself: the first that it would serve is asked something."""
    served: list[Any] = []

    def serve(*_: object, **__: object) -> NoReturn:
        for each in served:
            each.run(SERVED, user_id="visitor")
        raise SystemExit("it serves")

    with contextlib.suppress(ImportError):
        import uvicorn
        from agno.os import AgentOS

        uvicorn.run = serve  # type: ignore[assignment]
        begin = AgentOS.__init__

        def noted(self: Any, *arguments: Any, **options: Any) -> None:
            begin(self, *arguments, **options)
            served[:0] = [*(self.workflows or ()), *(self.teams or ()), *(self.agents or ())]

        AgentOS.__init__ = noted  # type: ignore[method-assign]


def _write(result: Path, line: dict[str, Any]) -> None:
    made = result.with_suffix(".part")
    made.write_text(json.dumps(line, default=repr))
    made.rename(result)


def _short(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {last[0].filename}:{last[0].lineno}" if last else ""
    return f"{type(error).__name__}: {error}"[:300] + where
