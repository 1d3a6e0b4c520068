"""The settings: one table, read from the environment and nothing else of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("environment")


def test_a_variable_that_only_looks_like_a_fields_name_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "MODEL", "LOG", "API_KEY", "CONCURRENCY"):
        monkeypatch.setenv(name, "7")
    settings = Settings()
    assert (settings.home, settings.model, settings.log, settings.api_key) == (Path(".worker"), None, None, None)
    assert settings.concurrency == 10


def test_a_setting_is_read_by_its_name_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", "3")
    monkeypatch.setenv("XPANDER_AGENT_ID", " one, two ,")
    settings = Settings()
    assert (settings.concurrency, settings.agent_ids) == (3, ("one", "two"))


def test_an_env_file_counts_less_than_the_environment(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / ".env").write_text("WORKER_CONCURRENCY=3\nWORKER_DRAIN_SECONDS=7\n")
    monkeypatch.setenv("WORKER_CONCURRENCY", "4")
    settings = Settings()
    assert (settings.concurrency, settings.drain_seconds) == (4, 7)


def test_a_bad_value_is_refused_and_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPANDER_API_KEY", "canary-secret")
    monkeypatch.setenv("WORKER_CONCURRENCY", "many")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "WORKER_CONCURRENCY" in str(refused.value)
    assert "canary" not in str(refused.value)
    monkeypatch.setenv("WORKER_CONCURRENCY", "1")
    assert "canary" not in repr(Settings())
