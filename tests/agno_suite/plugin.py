"""What is put into pytest in the process that runs Agno's tests: outcomes and runs are written down, line by line."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.agno_suite import observed
from tests.agno_suite.outermost import count_runs, take_in_hand
from tests.agno_suite.passes import CONVERTED, Pass, substitute
from tests.agno_suite.provider import find_nothing
from worker.agents.instrumentation import install

BARE = "bare"


class Recorder:
    """The plugin.

    Args:
        way: A pass; ``bare`` leaves everything as it is.
        log: Where lines are written. Tests whose outcome is there are not run again.
        options: Of the pass.
    """

    def __init__(self, way: str, log: Path, **options: Any) -> None:
        lines = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
        self._done = {line["test"] for line in lines if "outcome" in line}
        self._file: TextIO = log.open("a", buffering=1)
        self._test = ""
        observed.observe()
        find_nothing()
        if way == BARE:
            count_runs()
            return
        made = Pass(way, reports=self._reports, **options)
        take_in_hand(made.carry_out, substitute)
        if way != CONVERTED:
            install()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tests were found."""
        items[:] = [each for each in items if each.nodeid not in self._done]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._test = nodeid
        self._write({"begun": nodeid})

    def pytest_runtest_logfinish(self) -> None:
        """A test has ended."""
        counts, observed.reach.counts = observed.reach.counts, Counter()
        self._write({"reach": dict(counts)})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        if report.when == "call" or report.outcome != "passed":
            text = report.longreprtext[-600:] if report.outcome == "failed" else ""
            self._write({"test": report.nodeid, "phase": report.when, "outcome": report.outcome, "why": text})

    def pytest_sessionfinish(self) -> None:
        """All have."""
        self._write({"ended": True})

    def _reports(self) -> Callable[[dict[str, Any]], None]:
        test = self._test  # a run may end when the test in which it began has been given up
        return lambda line: self._write({"test": test, "run": line})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, default=repr) + "\n")
