"""The second measure: programs of Agno's cookbook, each at its first run, in five passes."""

import argparse
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agno_suite.comparing import different
from tests.agno_suite.report import calls_of, shortened

HERE = Path(__file__).parent
COMPARED = ("raised", "output", "events", "session")

Lines = dict[str, dict[str, Any]]
"""What was written of a program's passes, by the pass."""


def measure(folders: list[Path], chosen: argparse.Namespace) -> tuple[dict[str, str], list[str]]:
    """Make all passes over folders of programs; differences, and what could have had some.

    A log that is there already is gone on with: programs in it are not run again.
    """
    log = chosen.keep / "cookbook.jsonl"
    done = {line["program"] for line in _lines(log)} if log.exists() else set[str]()
    programs = [each for folder in folders for each in _programs(folder) if chosen.select in str(each)]
    waiting = [str(each) for each in programs if str(each) not in done]
    options = ["--log", str(log), "--seconds", str(chosen.seconds), "--seed", str(chosen.seed)]
    with (chosen.keep / "cookbook.txt").open("w") as output:
        subprocess.run(
            [chosen.python, "-P", str(HERE / "cookbook_child.py"), *options],
            input="\n".join(waiting),
            text=True,
            stdout=output,
            stderr=output,
            check=True,
        )
    passes: defaultdict[str, Lines] = defaultdict(dict)
    for line in _lines(log):
        passes[_name_of(Path(line["program"]))][line["way"]] = line
    wanted = {_name_of(each) for each in programs}
    passes = defaultdict(dict, {name: each for name, each in passes.items() if name in wanted})
    differences = dict(found for name, lines in passes.items() for found in _found(name, lines))
    _print(passes, differences)
    return differences, [f"{way} {name}" for name, lines in passes.items() for way in lines]


def _programs(folder: Path) -> list[Path]:
    found = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    return [each for each in found if each.name != "__init__.py" and "__main__" in each.read_text(errors="replace")]


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(text) for text in log.read_text().splitlines())


def _name_of(program: Path) -> str:
    parts = program.parts
    return "/".join(parts[parts.index("cookbook") :] if "cookbook" in parts else parts[-1:])


def is_sound(lines: Lines) -> bool:
    """Whether a program runs bare without an error."""
    bare = lines["bare"]
    return bare["end"] == "ran" and not bare["said"]["raised"] and not _is_error(bare["said"])


def _is_error(said: dict[str, Any]) -> bool:
    output = said["output"]
    return output is None or (isinstance(output, dict) and output.get("status") == "ERROR")


def _found(name: str, lines: Lines) -> Iterator[tuple[str, str]]:
    """Where passes of one program differ; what already differs between two bare runs says nothing."""
    if not is_sound(lines):
        return
    unsteady = set(_between(lines["bare"], lines.get("again", lines["bare"])))
    for way in ("worker", "retry", "twice"):
        line = lines.get(way)
        if line is None:
            continue
        if line["end"] != "ran":
            yield f"{way} {name} ends", f"{line['end']}: {line.get('why', '')}"
            continue
        found = _between(lines["bare"], line) if way == "worker" else _within(line, way)
        yield from ((f"{way} {name} {path}", said) for path, said in found.items() if path not in unsteady)


def _between(one: dict[str, Any], another: dict[str, Any]) -> dict[str, str]:
    if another["end"] != "ran":
        return {"ends": another.get("why", another["end"])}
    texts = [text for each in COMPARED for text in different(one["said"][each], another["said"][each], f".{each}")]
    texts += different(calls_of(one), calls_of(another), ".calls")
    return shortened(texts)


def _within(line: dict[str, Any], way: str) -> dict[str, str]:
    if way == "retry":
        return shortened(line["differences"])
    texts = [f".leaks: {each}" for each in line["leaks"]]
    for each in COMPARED:
        texts += different(line["said"][each], line["second"][each], f".{each}")
    return shortened(texts)


def _print(passes: dict[str, Lines], differences: dict[str, str]) -> None:
    """How many programs there are, how many run, and how many come to the same in each pass; and the reach."""
    sound = {name for name, lines in passes.items() if is_sound(lines)}
    steady = {
        name for name in sound if not _between(passes[name]["bare"], passes[name].get("again", passes[name]["bare"]))
    }
    ran = {name for name, lines in passes.items() if lines["bare"]["end"] == "ran"}
    rows = [("programs", len(passes)), ("make a run", len(ran)), ("run bare without an error", len(sound))]
    rows.append(("the same when run bare again", len(steady)))
    for way in ("worker", "retry", "twice"):
        done = {name for name in sound if way in passes[name]}
        other = {each.split(" ")[1] for each in differences if each.startswith(f"{way} ")}
        rows.append((f"the same in the pass {way}, of {len(done)}", len(done - other)))
    reach = Counter[str]()
    for lines in passes.values():
        for line in lines.values():
            reach.update(line.get("reach", {}))
    for text, number in [*rows, *((f"reach: {each}", reach[each]) for each in ("runs", "model calls", "tools"))]:
        sys.stdout.write(f"{text:<50}{number:>8,}\n")
