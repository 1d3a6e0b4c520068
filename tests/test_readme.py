"""The README's examples run: each Python block in a process of its own, and its handlers fit."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python[^\n]*\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
CHECK = """
from worker.registry import default
if default.handlers:
    default.check()
print("checked", len(default.handlers))
"""


@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[0] for block in BLOCKS])
def test_an_example_runs_and_its_handlers_fit(block: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGNO_TELEMETRY": "false"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block + CHECK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = block.count("\n@on") + block.startswith("@on")
    assert f"checked {expected}" in done.stdout


def test_every_command_of_the_readme_is_one_that_exists() -> None:
    told = set(re.findall(r"`worker (\w+)", README)) | set(re.findall(r"^worker (\w+)", README, flags=re.MULTILINE))
    shown = subprocess.run(
        [sys.executable, "-m", "worker", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert told <= set(re.findall(r"\b(\w+)\b", shown.stdout))
    assert "run" in told


def test_make_knows_the_targets_of_the_readme() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    told = set(re.findall(r"\bmake (\w+)", README))
    assert told <= targets
    assert {"demo", "test", "check", "bench"} <= told
