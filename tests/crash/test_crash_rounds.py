"""Rounds of stories: each has the next seed, a failure names its own, and the rest goes on."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.shells import ROOT

STORIES = """
import os
import pytest

@pytest.mark.crash(places=2)
def test_it_breaks_at_eight():
    assert os.environ["CRASH_SEED"] != "8", "eight is unlucky"

@pytest.mark.crash
def test_it_holds():
    print("  it told a figure")
"""


def rounds(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_stories.py").write_text(STORIES)
    return subprocess.run(
        [sys.executable, "-m", "tests.crash.rounds", *arguments, str(folder)],
        cwd=ROOT,
        env=os.environ
        | {"CRASH_SEED": "7", "TMPDIR": str(folder)}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_failure_names_its_story_and_seed_and_the_rest_goes_on(tmp_path: Path) -> None:
    told = rounds(tmp_path, "--times", "3")
    assert told.returncode == 1, told
    for line in (
        "7 it holds: it told a figure",
        "9 it holds: passed in ",
        "8 it breaks at eight: FAILED after ",
        "AssertionError: eight is unlucky",
        'again: make crash CRASH_SEED=8 ARGS="-k test_it_breaks_at_eight"',
        "5 of 6 passed",
    ):
        assert line in told.stdout
    assert ["7", "8", "9"] in [line.split() for line in told.stdout.splitlines()], "a column for each seed"


def test_stories_that_all_hold_end_well(tmp_path: Path) -> None:
    told = rounds(tmp_path, "-k", "holds")
    assert told.returncode == 0, told
    assert "1 of 1 passed" in told.stdout


def test_no_story_is_no_success(tmp_path: Path) -> None:
    assert rounds(tmp_path, "-k", "nothing").returncode == 1
