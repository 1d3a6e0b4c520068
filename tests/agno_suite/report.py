"""What the passes over a folder of tests came to: who passed, what they reached, where two passes differ."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.agno_suite.comparing import different

LEVELS = 3  # of a path that name a difference
COMPARED = ("content", "raised", "output", "events", "session")
INDEX = re.compile(r"\[\d+\]")


@dataclass
class Measured:
    """One pass.

    Args:
        name: Its name, with where it interrupts.
        passed: Tests that passed.
        why: Of those that did not: the end of what pytest says.
        runs: Of each test, what was noted of its outermost runs, in order.
        reach: Runs, model calls and tools in all.
    """

    name: str
    passed: set[str] = field(default_factory=set[str])
    why: dict[str, str] = field(default_factory=dict[str, str])
    runs: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    reach: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def read(cls, name: str, log: Path) -> "Measured":
        """Read what a pass has written down."""
        made = cls(name)
        for text in log.read_text().splitlines():
            line = json.loads(text)
            if "reach" in line:
                made.reach.update(line["reach"])
            elif "run" in line:
                made.runs[line["test"]].append(line["run"])
            elif "outcome" not in line:
                continue
            elif line["outcome"] == "passed":
                made.passed.add(line["test"])
            else:
                made.why[line["test"]] = line["why"] or line["outcome"]
        made.passed -= made.why.keys()
        return made

    def summary(self) -> str:
        """A line for the table: name, tests, reach."""
        reached = sum(bool(self.runs[each]) for each in self.passed) if self.runs else 0
        numbers = [len(self.passed), reached, *(self.reach[each] for each in ("runs", "model calls", "tools"))]
        return f"{self.name:<14}" + "".join(f"{each:>14,}" for each in numbers)


HEAD = f"{'pass':<14}" + "".join(f"{each:>14}" for each in ("passed", "make a run", "runs", "model calls", "tools"))


def found(measured: dict[str, Measured]) -> Iterator[tuple[str, str]]:
    """Where passes differ that should be equal: a name for each difference, and what it is.

    A test counts only as far as it passes in the pass that the other is compared with.
    """
    for name, one in measured.items():
        base = measured.get("converted" if name == "recorded" else "recorded")
        if name in ("bare", "converted") or base is None:
            continue
        for test in sorted(base.passed):
            if test not in one.passed:
                yield f"{name} {test} fails", one.why.get(test, "it was not run")
            else:
                yield from _within(f"{name} {test}", base.runs[test], one.runs[test])


def calls_of(line: dict[str, Any]) -> dict[str, Any]:
    """How many calls of models and tools a run made."""
    return {each: line.get(each) for each in ("asked", "tools")}


def shortened(texts: Iterable[str]) -> dict[str, str]:
    """Differences by the upper levels of their paths, without positions in lists; the first of each."""
    seen: dict[str, str] = {}
    for text in texts:
        path, _, said = text.partition(": ")
        seen.setdefault(".".join(INDEX.sub("", path).split(".")[1 : LEVELS + 1]), said)
    return seen


def _within(name: str, base: list[dict[str, Any]], one: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    yield from ((f"{name} {path}", said) for path, said in shortened(_texts(base, one)).items())


def _texts(base: list[dict[str, Any]], one: list[dict[str, Any]]) -> Iterator[str]:
    if len(base) != len(one):
        yield f".runs: {len(base)} is not {len(one)}"
        return
    for mine, theirs in zip(base, one, strict=True):
        yield from theirs.get("differences", ())
        if "differences" in theirs:
            continue
        for each in COMPARED:
            if each in mine["said"] and not (each == "content" and mine["said"][each] is None):
                yield from different(mine["said"][each], theirs["said"][each], f".{each}")
        if "interrupted" not in theirs:  # one attempt each
            yield from different(calls_of(mine), calls_of(theirs), ".calls")
        if theirs.get("interrupted") and not mine["failure"]:
            left = mine["asked"] - theirs["completed"] + 1  # the one that was cut is asked again
            if theirs["asked_then"] > max(left, 0):
                yield f".asked: {theirs['asked_then']} calls, where {left} were left"
