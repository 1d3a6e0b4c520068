"""``worker agent …``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli.app import app


@pytest.fixture
def typed(environment: Path) -> CliRunner:
    return CliRunner()


def ran(typed: CliRunner, *arguments: str) -> str:
    result = typed.invoke(app, ["agent", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_agent_is_created_shown_listed_changed_and_deleted(typed: CliRunner, environment: Path) -> None:
    (environment / "told.md").write_text("Answer in one sentence.\n")
    (environment / "schema.json").write_text('{"type": "object"}')
    options = ["--name", "Analyst", "--description", "Reads tables.", "--role", "You read.", "--role", "You sum."]
    options += ["--goal", "Be right.", "--instructions", "told.md", "--model", "openai:gpt-5-mini"]
    options += ["--reasoning-effort", "low", "--output-format", "json", "--output-schema", "schema.json"]
    assert ran(typed, "create", "analyst", *options, "--expected-output", "A number.") == "analyst version 1\n"
    agent = json.loads(ran(typed, "show", "analyst", "--json"))
    assert agent["instructions"] == {
        "role": ["You read.", "You sum."],
        "goal": ["Be right."],
        "general": "Answer in one sentence.",
    }
    assert (agent["name"], agent["description"]) == ("Analyst", "Reads tables.")
    assert (agent["model_provider"], agent["model_name"], agent["llm_reasoning_effort"]) == (
        "openai",
        "gpt-5-mini",
        "low",
    )
    assert (agent["output_format"], agent["output_schema"], agent["expected_output"]) == (
        "json",
        {"type": "object"},
        "A number.",
    )
    assert json.loads(ran(typed, "list", "--json")) == [agent]
    shown = ran(typed, "show", "analyst")
    assert "openai:gpt-5-mini" in shown
    assert "role:\nYou read.\nYou sum.\n" in shown
    again = typed.invoke(app, ["agent", "create", "analyst"])
    assert (again.exit_code, again.stderr) == (
        1,
        "worker: Agent 'analyst' already exists. Use --replace to update it.\n",
    )
    changed = json.loads(ran(typed, "create", "analyst", "--replace", "--json"))
    assert (changed["version"], changed["name"], changed["model_name"]) == (2, "analyst", None)
    assert ran(typed, "list").splitlines()[1].split("\t") == ["analyst", "analyst", "", "2", "created"]
    assert ran(typed, "delete", "analyst") == "analyst deleted\n"
    gone = typed.invoke(app, ["agent", "show", "analyst"])
    assert gone.exit_code == 1
    assert "analyst" in gone.stderr


def test_instructions_come_from_standard_input_too(typed: CliRunner) -> None:
    result = typed.invoke(app, ["agent", "create", "a", "--instructions", "-", "--json"], input="Be brief.\n")
    assert json.loads(result.stdout)["instructions"]["general"] == "Be brief."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create"], "ID"),
        (["create", "a b"], "ID must be 1 to 128 characters"),
        (["create", "a", "--model", "gpt-5"], "expected PROVIDER:NAME"),
        (["create", "a", "--instructions", "gone.md"], "gone.md"),
        (["create", "a", "--output-schema", "gone.json"], "gone.json"),
        (["create", "a", "--reasoning-effort", "huge"], "huge"),
        (["create", "a", "--output-format", "poem"], "poem"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(typed: CliRunner, arguments: list[str], words: str) -> None:
    result = typed.invoke(app, ["agent", *arguments])
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
