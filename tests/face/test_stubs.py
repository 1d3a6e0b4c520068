"""Type checkers resolve the import paths of xpander-sdk: each alias module has a stub file, made of the same table."""

import subprocess
import sys

from tests.face.stubs import ROOT, files

SNIPPET = """
import sys
from worker.modules.tasks import Tasks
from worker.modules.tasks.models.task import AgentExecutionStatus
import worker.modules.tools_repository.tools_repository_module as repository
import worker
assert Tasks is worker.Tasks and AgentExecutionStatus is worker.AgentExecutionStatus
assert repository.ToolsRepository is worker.ToolsRepository
"""


def test_the_stubs_are_those_of_the_table() -> None:
    expected = files()
    assert {path: path.read_text() for path in ROOT.rglob("*.pyi")} == expected


def test_a_folder_of_stubs_hides_no_module() -> None:
    done = subprocess.run([sys.executable, "-c", SNIPPET], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
