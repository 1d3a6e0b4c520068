"""``worker audit …``: what commands did is in it, by whom and from where."""

import getpass
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli.app import app


@pytest.fixture
def typed(environment: Path) -> CliRunner:
    return CliRunner()


def ran(typed: CliRunner, *arguments: str) -> str:
    result = typed.invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_commands_did_is_listed(typed: CliRunner) -> None:
    made = json.loads(ran(typed, "key", "create", "--organization", "ours", "--name", "ci", "--json"))
    ran(typed, "key", "revoke", made["id"])
    ran(typed, "agent", "create", "analyst")
    found = json.loads(ran(typed, "audit", "list", "--organization", "ours", "--json"))
    assert [(each["action"], each["subject"]) for each in found] == [
        ("key.revoke", f"key {made['id']}"),
        ("key.create", f"key {made['id']}"),
    ]
    assert found[1]["details"] == {"name": "ci", "role": "client"}
    assert {(each["key_id"], each["door"]) for each in found} == {("database", "database")}
    assert found[0]["key_name"].startswith(f"{getpass.getuser()}@")
    assert made["key"] not in json.dumps(found)
    shown = ran(typed, "audit", "list", "--action", "agent.save")
    assert "agent analyst" in shown
    assert "key.revoke" not in ran(typed, "audit", "list")
    assert ran(typed, "audit", "list", "--until", "2020-01-01", "--json") == "[]\n"
