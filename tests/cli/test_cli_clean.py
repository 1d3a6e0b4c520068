"""``worker clean``: what it says, and what it removes."""

import json
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from worker.cli.app import app


@pytest.fixture
def typed(environment: Path) -> CliRunner:
    return CliRunner()


@pytest.fixture
def old_task(typed: CliRunner, environment: Path, database_url: str) -> str:
    """A task that finished 10 days ago, with an uploaded file of that time."""
    figures = environment / "figures.csv"
    figures.write_bytes(b"a,b\n")
    created = typed.invoke(app, ["task", "create", "--agent", "a", "--file", str(figures)])
    assert created.exit_code == 0, created.output
    task_id = created.stdout.strip()
    assert typed.invoke(app, ["task", "stop", task_id]).exit_code == 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update worker.tasks set finished_at = now() - interval '10 days'")
        connection.execute("update worker.files set used_at = now() - interval '10 days'")
    return task_id


def test_a_dry_run_says_what_the_clean_up_then_removes(typed: CliRunner, old_task: str) -> None:
    removes = "1 task with 2 events, 0 journal rows, 1 file (0.0 MiB)"
    assert typed.invoke(app, ["clean", "--days", "9", "--dry-run"]).stdout == f"would remove {removes}\n"
    assert typed.invoke(app, ["task", "show", old_task]).exit_code == 0
    assert typed.invoke(app, ["clean", "--days", "9"]).stdout == f"removed {removes}\n"
    assert typed.invoke(app, ["task", "show", old_task]).exit_code == 1


def test_without_days_the_setting_counts(typed: CliRunner, old_task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"tasks": 0, "events": 0, "journal": 0, "files": 0, "file_bytes": 0, "audit": 0}
    assert json.loads(typed.invoke(app, ["clean", "--json"]).stdout) == {"dry_run": False, "days": 30, **nothing}
    monkeypatch.setenv("WORKER_RETENTION_DAYS", "0")
    kept = typed.invoke(app, ["clean"])
    assert "finished tasks are kept forever because WORKER_RETENTION_DAYS is 0" in kept.stderr
    monkeypatch.setenv("WORKER_RETENTION_DAYS", "9")
    assert json.loads(typed.invoke(app, ["clean", "--json"]).stdout)["tasks"] == 1


@pytest.mark.parametrize("days", ["0", "-1", "x", "100000"])
def test_days_that_make_no_sense_are_wrong_usage(typed: CliRunner, days: str) -> None:
    assert typed.invoke(app, ["clean", "--days", days]).exit_code == 2
