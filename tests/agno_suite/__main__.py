"""Measure the worker on Agno's own tests and cookbook, which nobody here wrote.

    python -m tests.agno_suite agno/libs/agno/tests/integration/agent --select history
    python -m tests.agno_suite agno/libs/agno/tests/unit --pass converted --pass recorded --pass killed@3
    python -m tests.agno_suite agno/cookbook/02_agents --python other-venv/bin/python

Agno's repository stays outside of this one. Every outermost run of an agent, team or workflow becomes a run of ours, in
several passes, each in a process of its own; models are answered by a provider on loopback, a function of the request
alone. Exit code 0: the passes are equal but for what the list of known differences explains. 1: they are not, or the
list has an entry that is no more. 2: wrong usage.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from tests.agno_suite import cookbook
from tests.agno_suite.known import Known
from tests.agno_suite.report import HEAD, Measured, found

HERE = Path(__file__).parent
PASSES = ("bare", "converted", "recorded", "replayed")
INTERRUPTING = re.compile(r"(killed|busy)@\d+")
PYTEST = (
    *("-q", "--continue-on-collection-errors", "--asyncio-mode=auto", "--timeout=120", "--tb=native"),
    *("-p", "no:cacheprovider", "-p", "no:agno_worker", "-W", "ignore", "-o", "log_cli=false"),
)


def main() -> int:
    """Measure what the command line names; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_args()
    for folder in chosen.folder:
        if not folder.exists():
            parser.error(f"there is no such folder or file: {folder}")
    for name in chosen.passes or ():
        if name not in PASSES and not INTERRUPTING.fullmatch(name):
            parser.error(f"there is no pass {name!r}: {', '.join(PASSES)}, killed@N or busy@N")
    chosen.keep.mkdir(parents=True, exist_ok=True)
    folders = [each.resolve() for each in chosen.folder]
    known = Known(chosen.known)
    if all("tests" in folder.parts for folder in folders):
        differences, measured = _tests(folders, chosen)
    else:
        differences, measured = cookbook.measure(folders, chosen)
    return _judged(known, differences, measured)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.agno_suite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="+", help="a folder or file of Agno's tests, or of its cookbook")
    parser.add_argument(
        "--pass",
        dest="passes",
        action="append",
        metavar="PASS",
        help=f"of tests: {', '.join(PASSES)} (all of them unless named), killed@N: each first attempt dies at its"
        " write N, busy@N: it finds the provider busy at its model call N; may be given several times",
    )
    parser.add_argument(
        "--select", default="", help="only tests that pytest's -k takes, or programs with this in the path"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="have model calls take up to 40 ms, each as this number says"
    )
    parser.add_argument("--history", action="store_true", help="each run with a database finds an earlier turn there")
    parser.add_argument(
        "--python", default=sys.executable, help="a Python that has this project and what Agno's files import"
    )
    parser.add_argument("--known", type=Path, default=HERE / "known.toml", help="the list of known differences")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "agno-suite", help="where logs are kept"
    )
    parser.add_argument(
        "--silence", type=float, default=150.0, help="seconds after which a test is given up that does not end in 120"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="limit of one pass of a program of the cookbook")
    return parser


def _tests(folders: list[Path], chosen: argparse.Namespace) -> tuple[dict[str, str], list[str]]:
    """Make all passes over folders of tests; differences, and what could have had some."""
    measured = {name: _pass(name, folders, chosen) for name in chosen.passes or PASSES}
    print(HEAD, *(each.summary() for each in measured.values()), sep="\n")  # noqa: T201 - a program that reports
    return dict(found(measured)), [f"{name} {test}" for name, each in measured.items() for test in each.runs]


def _pass(name: str, folders: list[Path], chosen: argparse.Namespace) -> Measured:
    log = chosen.keep / f"{name}.jsonl"
    log.unlink(missing_ok=True)
    way, _, at = name.partition("@")
    root = _root_of(folders[0])
    options = ["--way", way, "--at", at or "0", "--log", str(log), "--seed", str(chosen.seed)]
    options += ["--history"] if chosen.history else []
    select = ["-k", chosen.select] if chosen.select else []
    command = [chosen.python, "-P", str(HERE / "child.py"), *options, "--", *map(str, folders), *PYTEST, *select]
    command.append(f"--rootdir={root}")
    with (chosen.keep / f"{name}.txt").open("w") as output:
        while not _ended(command, output, log, chosen.silence):
            pass  # what was not run yet is run by another process
    if not log.exists():
        sys.exit(f"the pass {name} has not begun: see {output.name}")
    return Measured.read(name, log)


def _ended(command: list[str], output: TextIO, log: Path, silence: float) -> bool:
    """Run tests in a process of their own, until all have ended, or one of them does not."""
    with (
        tempfile.TemporaryDirectory(prefix="agno-suite-") as folder,  # tests leave databases where they are run
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=output) as child,
    ):
        size, since = 0, time.monotonic()
        while child.poll() is None:
            time.sleep(0.2)
            now = log.stat().st_size if log.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > silence:
                child.kill()
    begun = _unfinished(log)
    if begun is not None:
        with log.open("a") as file:
            file.write(json.dumps({"test": begun, "outcome": "failed", "why": "it did not end"}) + "\n")
    return begun is None


def _unfinished(log: Path) -> str | None:
    """The test that a process was in when it ended."""
    begun = None
    for line in map(json.loads, log.read_text().splitlines() if log.exists() else ()):
        begun = line.get("begun", None if "reach" in line else begun)
    return begun


def _root_of(folder: Path) -> Path:
    """What Agno's names of its tests begin at: where the folder ``tests`` lies."""
    return next((each.parent for each in (folder, *folder.parents) if each.name == "tests"), folder.parent)


def _judged(known: Known, differences: dict[str, str], measured: list[str]) -> int:
    new, vanished = known.new(differences), known.vanished(differences, measured)
    for each in new:
        print(f"new: {each}\n     {differences[each][-300:]}")  # noqa: T201
    for each in vanished:
        print(f"gone, take it off the list: {each}")  # noqa: T201
    print(f"{len(differences)} differences, {len(new)} of them new, {len(vanished)} gone")  # noqa: T201
    return 1 if new or vanished else 0


if __name__ == "__main__":
    sys.exit(main())
