"""What is put into pytest in the process that runs Agno's tests: outcomes and runs are written down, line by line."""

import json
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.agno_suite import observed
from tests.agno_suite.outermost import count_runs, take_in_hand
from tests.agno_suite.passes import CONVERTED, Pass, substitute
from worker.agents.instrumentation import install

BARE = "bare"


class Recorder:
    """The plugin.

    Args:
        way: A pass; ``bare`` leaves everything as it is.
        log: Where lines are written.
        options: Of the pass.
    """

    def __init__(self, way: str, log: Path, **options: Any) -> None:
        self._file: TextIO = log.open("a", buffering=1)
        self._test = ""
        observed.observe()
        if way == BARE:
            count_runs()
            return
        made = Pass(way, report=self._report, **options)
        take_in_hand(made.carry_out, substitute)
        if way != CONVERTED:
            install()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._test = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        if report.when == "call" or report.outcome != "passed":
            text = report.longreprtext[-600:] if report.outcome == "failed" else ""
            self._write({"test": report.nodeid, "phase": report.when, "outcome": report.outcome, "why": text})

    def pytest_sessionfinish(self) -> None:
        """All have."""
        self._write({"reach": dict(observed.reach.counts)})

    def _report(self, line: dict[str, Any]) -> None:
        self._write({"test": self._test, "run": line})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, default=repr) + "\n")
