"""``worker check --heroku`` finds each planted mistake and says what to do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.shells import ROOT
from worker.cli import heroku_check, heroku_plans
from worker.cli.app import app
from worker.cli.procfile import problems as procfile_problems
from worker.engine.engine import Engine
from worker.settings import table

PROCFILE = (ROOT / "Procfile").read_text()
HANDLER = "from worker import on_task\n\n@on_task\nasync def work(task): ...\n"


@pytest.fixture
def good(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and an environment that Heroku would be happy with."""
    monkeypatch.setenv("WORKER_API_KEY", "k" * 32)
    for name, text in (("Procfile", PROCFILE), (".python-version", "3.13\n"), ("requirements.txt", "agno-worker\n")):
        (environment / name).write_text(text)
    (environment / "handlers").mkdir()
    (environment / "handlers" / "mine.py").write_text(HANDLER)
    return environment


def found(folder: Path, **options: object) -> list[str]:
    given = {"plan": None, "web": None, "workers": None, **options}
    return heroku_check.problems(folder, folder / "handlers", **given)  # type: ignore[arg-type] - as the options are


def only(folder: Path, **options: object) -> str:
    (problem,) = found(folder, **options)
    return problem


def test_where_all_is_well_nothing_is_found(good: Path) -> None:
    assert found(good) == []
    assert found(good, plan="essential-0", web=1, workers=1) == []


def test_the_command_counts_the_problems_and_fails(good: Path) -> None:
    ready = CliRunner().invoke(app, ["check", "--heroku", "--plan", "standard-0"])
    assert (ready.exit_code, ready.stdout.splitlines()[-1]) == (0, "ready for Heroku")
    (good / "Procfile").unlink()
    failed = CliRunner().invoke(app, ["check", "--heroku", "--web", "9"])
    assert failed.exit_code == 1
    assert failed.stderr.splitlines()[-1].endswith("problem" if failed.stderr.count("\n") == 2 else "problems")
    assert "there is no Procfile" in failed.stderr


def test_its_options_are_nothing_without_it(good: Path) -> None:
    assert CliRunner().invoke(app, ["check", "--plan", "essential-0"]).exit_code == 2


def test_this_very_checkout_is_ready(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_API_KEY", "k")
    assert heroku_check.problems(ROOT, ROOT / "handlers", plan="essential-0", web=None, workers=None) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", None, "DATABASE_URL is not set"),
        ("DATABASE_URL", "postgres://u:canary@127.0.0.1:1/x", "DATABASE_URL: PostgreSQL at 127.0.0.1:1"),
        ("WORKER_API_KEY", None, "the web process has no key"),
        ("WORKER_DRAIN_SECONDS", "28", "`heroku config:set WORKER_DRAIN_SECONDS=24`"),
        ("WORKER_HOME", "/app/data", "`heroku config:unset WORKER_HOME`"),
        ("WORKER_LOG", "console", "`heroku config:set WORKER_LOG=logfmt`"),
        ("XPANDER_BASE_URL", "https://example.com", "`heroku config:unset XPANDER_BASE_URL"),
    ],
)
def test_a_mistake_in_the_settings(
    good: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, words: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    problem = only(good)
    assert words in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("Procfile", None, "there is no Procfile: create one"),
        (".python-version", None, "there is no .python-version"),
        (".python-version", "3.9\n", "use one of 3.11"),
        ("requirements.txt", None, "no file declares the dependencies"),
        ("runtime.txt", "python-3.12.1", "runtime.txt is deprecated"),
    ],
)
def test_a_mistake_in_the_folder(good: Path, name: str, text: str | None, words: str) -> None:
    if text is None:
        (good / name).unlink()
    else:
        (good / name).write_text(text)
    assert words in only(good)


def test_a_database_url_that_leads_to_the_dyno_itself(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "run.1")
    monkeypatch.setenv("DATABASE_URL", "postgres://localhost/x")
    assert "points to the dyno itself" in only(good)


def test_a_web_dyno_without_a_port(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    assert any("web.1 has no PORT" in problem for problem in found(good))
    monkeypatch.setenv("PORT", "5000")
    assert not any("PORT" in problem for problem in found(good))


def _nothing_is_installed(_: str) -> None:
    return None


def test_a_server_that_is_not_installed(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heroku_check, "find_spec", _nothing_is_installed)
    assert "agno-worker[server]" in only(good)
    assert found(good, web=0) == []


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("web: exec worker serve", "", "there is no line for web: add `web: exec worker serve`"),
        ("worker: exec worker run", "", "there is no line for worker"),
        ("release: exec worker migrate", "", "there is no line for release"),
        ("web: exec worker serve", "web: worker serve", "web lacks exec"),
        ("web: exec worker serve", "web: exec worker dev", "web does not run `worker serve`"),
        ("web: exec worker serve", "web: exec gunicorn app", "web does not run `worker serve`"),
        ("web: exec worker serve", "web: exec worker serve --port 8080", "remove --port"),
        ("web: exec worker serve", "web: exec worker serve --host 127.0.0.1", "remove --host"),
    ],
)
def test_a_mistake_in_the_procfile(good: Path, line: str, instead: str, words: str) -> None:
    (good / "Procfile").write_text(PROCFILE.replace(line, instead))
    assert words in only(good)


def test_a_procfile_may_run_the_module_and_name_the_port(good: Path) -> None:
    processes = {
        "web": "exec python -m worker serve --port $PORT",
        "worker": "exec worker run --concurrency 20",
        "release": "exec worker migrate",
    }
    assert procfile_problems(processes) == []


def test_connections_are_held_against_the_plan(good: Path) -> None:
    assert found(good, plan="essential-2", web=1, workers=3) == []
    assert "need 24, but the plan essential-0 allows 20" in only(good, plan="essential-0", web=2, workers=4)
    assert "need 12, and 25 during a deploy" in only(good, plan="essential-0", web=1, workers=2)
    assert "did you mean standard-0?" in only(good, plan="standart-0")


def test_connections_are_held_against_what_the_database_says(good: Path) -> None:
    assert "but the database allows 9" in only(good, web=100, workers=100)


def test_dynos_are_those_of_app_json(good: Path) -> None:
    (good / "app.json").write_text(json.dumps({"formation": {"web": {"quantity": 2}, "worker": {"quantity": 3}}}))
    assert "2 web and 3 worker dynos" in only(good, plan="essential-0")
    (good / "app.json").write_text("{")
    assert found(good, plan="essential-0") == []


async def test_a_key_in_the_database_is_a_key(good: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    import asyncio

    monkeypatch.delenv("WORKER_API_KEY")
    assert "the web process has no key" in (await asyncio.to_thread(only, good))
    await engine.keys.create("default")
    assert await asyncio.to_thread(found, good) == []


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("Path('out').write_text('x')", "Path('out').write_text"),
        ("open('out', 'w')", "open"),
        ("open('out', mode='ab')", "open"),
        ("Path('out').open('x')", "Path('out').open"),
        ("gzip.open('out', 'wt')", "gzip.open"),
        ("sqlite3.connect('tasks.db')", "sqlite3.connect"),
        ("frame.to_csv('out.csv')", "frame.to_csv"),
        ("os.makedirs('cache')", "os.makedirs"),
    ],
)
def test_a_handler_that_writes_to_the_disk(good: Path, line: str, call: str) -> None:
    (good / "handlers" / "mine.py").write_text(f"{HANDLER}\ndef save():\n    {line}\n")
    problem = only(good)
    assert problem.startswith(f"handlers/mine.py:7: {call} writes to the dyno's disk")
    assert "tempfile" in problem
    (good / "handlers" / "mine.py").write_text(f"{HANDLER}\ndef save():\n    {line}  # ephemeral\n")
    assert found(good) == []


@pytest.mark.parametrize(
    "line",
    [
        "open('in')",
        "open('in', 'rb')",
        "Path('in').open()",
        "Image.open('in.png')",
        "webbrowser.open('https://example.com')",
        "open('/tmp/out', 'w')",
        "Path(tempfile.mkdtemp(), 'x').mkdir()",
        "print('w')",
    ],
)
def test_a_handler_that_reads_or_writes_for_the_moment_is_fine(good: Path, line: str) -> None:
    (good / "handlers" / "mine.py").write_text(f"{HANDLER}\ndef save():\n    {line}\n")
    assert found(good) == []


@pytest.mark.parametrize(
    ("plan", "connections"),
    [
        ("essential-0", 20),
        ("heroku-postgresql:essential-1", 20),
        ("essential-2", 40),
        ("standard-0", 120),
        ("premium-0", 120),
        ("standard-2", 400),
        ("private-2", 400),
        ("shield-l-4", 500),
        ("premium-9", 500),
        ("enormous-1", None),
    ],
)
def test_plans(plan: str, connections: int | None) -> None:
    assert heroku_plans.connections(plan) == connections


def test_app_json_names_settings_that_exist_and_asks_for_what_the_app_needs() -> None:
    declared = json.loads((ROOT / "app.json").read_text())
    providers = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}
    assert set(declared["env"]) - providers <= {name for name, _, _ in table()}
    assert declared["env"]["WORKER_API_KEY"]["generator"] == "secret"
    assert [each["plan"] for each in declared["addons"]] == ["heroku-postgresql:essential-0"]
    assert [each["url"] for each in declared["buildpacks"]] == ["heroku/python"]
    assert set(declared["formation"]) == {"web", "worker"}
