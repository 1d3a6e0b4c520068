"""The program that measures the worker on Agno's own tests and cookbook, on files like those (`make crash`)."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]

TESTS = '''
import itertools
from agno.agent import Agent
from agno.models.openai import OpenAIChat
from pydantic import BaseModel

class Person(BaseModel):
    name: str

class Book(BaseModel):
    title: str

said = []
numbers = itertools.count()

def note(word: str) -> str:
    """Note a word."""
    said.append(word)
    return f"noted {word}"

def agent(**options):
    return Agent(model=OpenAIChat(id="m"), tools=[note], **options)

def test_plain():
    before = len(said)
    assert "noted seven" in agent().run("note 'seven'").content
    assert len(said) == before + 1

async def test_streaming():
    told = [each async for each in agent().arun("note 'eight'", stream=True, stream_events=True)]
    assert [each.event for each in told if "Tool" in each.event] == ["ToolCallStarted", "ToolCallCompleted"]

def test_a_form_of_the_call_instead_of_the_agent_s():
    asked = Agent(model=OpenAIChat(id="m"), output_schema=Person)
    assert isinstance(asked.run("a book", output_schema=Book).content, Book)

def test_that_fails():
    assert agent().run("note 'nine'").content == "something else"

def test_with_a_hook_that_answers_otherwise_each_time():
    def number(run_output):
        run_output.content = f"{next(numbers)} {run_output.content}"
    assert agent(post_hooks=[number]).run("note 'ten'").content
'''

HANGS = """
import threading

def test_hangs():
    threading.Event().wait()

def test_ends():
    pass
"""

PROGRAM = """
from agno.agent import Agent
from agno.models.openai import OpenAIResponses

if __name__ == "__main__":
    Agent(model=OpenAIResponses(id="m")).print_response("hello", stream=True)
"""


def measure(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.agno_suite", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=400, check=False)


def test_passes_over_a_folder_of_tests_are_compared_and_only_known_differences_are_let_pass(tmp_path: Path) -> None:
    folder, known = tmp_path / "tests", tmp_path / "known.toml"
    folder.mkdir()
    (folder / "test_it.py").write_text(TESTS)
    options = ["--keep", tmp_path / "logs", "--known", known, "--pass=converted", "--pass=recorded", "--pass=replayed"]
    made = measure(folder, *options, "--pass=killed@0")
    table = {line.split()[0]: line.split()[1:] for line in made.stdout.splitlines()[1:5]}
    assert table["converted"] == table["recorded"] == table["replayed"] == ["4", "4", "5", "9", "4"], made.stderr
    assert table["killed@0"] == ["4", "4", "5", "14", "4"]
    new = re.findall(r"^new: (.+)$", made.stdout, re.MULTILINE)
    assert made.returncode == 1
    assert {each.split("::")[1] for each in new} >= {"test_with_a_hook_that_answers_otherwise_each_time content"}
    assert all("otherwise" in each for each in new)
    gone = "replayed tests/test_it.py::test_plain notes"
    known.write_text(f'[[difference]]\nreason = "Its hook counts."\nin = {json.dumps([*new, gone])}\n')
    again = measure(folder, *options, "--pass=killed@0")
    assert f"gone, take it off the list: {gone}" in again.stdout
    assert "0 of them new, 1 gone" in again.stdout


def test_a_test_that_does_not_end_is_given_up_and_those_after_it_are_run(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_it.py").write_text(HANGS)
    made = measure(folder, "--keep", tmp_path / "logs", "--pass=converted", "--silence=20")
    assert made.stdout.splitlines()[1].split() == ["converted", "1", "0", "0", "0", "0"], made.stderr
    assert '"it did not end"' in (tmp_path / "logs" / "converted.jsonl").read_text()


def test_a_program_of_the_cookbook_comes_to_the_same_in_each_pass(tmp_path: Path) -> None:
    folder = tmp_path / "cookbook"
    folder.mkdir()
    (folder / "hello.py").write_text(PROGRAM)
    made = measure(folder, "--keep", tmp_path / "logs")
    assert made.returncode == 0, made.stdout + made.stderr
    rows = dict(line.rsplit(maxsplit=1) for line in made.stdout.splitlines()[:10])
    assert [rows[f"the same in the pass {each}, of 1"] for each in ("worker", "retry", "twice")] == ["1", "1", "1"]
    assert (rows["reach: runs"], rows["reach: model calls"]) == ("5", "6")


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    assert "no such folder" in measure(tmp_path / "nowhere").stderr
    assert "no pass" in measure(tmp_path, "--pass", "sideways").stderr
