"""The guide's examples, as a user has them: files in an empty folder, pytest, and the plugin."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import process_lives

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "testing.md").read_text()
FILES = dict(re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL))
SETTINGS: str = re.findall(r"^```toml\n# pyproject.toml\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)[0]
SECONDS = 100

PLUGIN = "worker.testing.plugin"


def run_pytest(folder: Path, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run pytest as a user would who has this plugin and that for async tests, and none of ours."""
    program = [sys.executable, "-c", python] if python else [sys.executable, "-m", "pytest"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DATABASE_URL"))}
    environment |= {"PYTHONPATH": str(ROOT), "AGNO_TELEMETRY": "false", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*program, "-p", "no:cacheprovider", "-W", "error", "-p", PLUGIN, "-p", "pytest_asyncio.plugin", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with nothing but what the guide shows of its settings."""
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    return tmp_path


def test_every_example_of_the_guide_passes(folder: Path) -> None:
    assert {name.split("/")[0] for name in FILES} == {"handlers", "tests"}
    for name, source in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    done = run_pytest(folder, "-q", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    tests = sum(source.count("\ndef test_") + source.count("\nasync def test_") for source in FILES.values())
    assert f"{tests} passed" in done.stdout
    assert not (folder / ".worker").exists()


LIGHT = """
import sys, pytest
code = pytest.main(sys.argv[1:])
print("heavy:", sorted({"psycopg", "agno", "pydantic", "fastapi", "httpx", "structlog"} & set(sys.modules)))
sys.exit(code)
"""


def test_tests_that_do_not_use_it_load_nothing_heavy(folder: Path) -> None:
    (folder / "test_other.py").write_text("def test_other():\n    pass\n")
    done = run_pytest(folder, "-q", python=LIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heavy: []" in done.stdout


def test_its_fixture_is_listed_with_what_it_is(folder: Path) -> None:
    done = run_pytest(folder, "--fixtures")
    assert re.search(r"worker_platform.*\n\s+Provide an empty platform", done.stdout), done.stdout[-2000:]


def test_pytest_finds_the_plugin_by_itself_once_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"agno_worker": PLUGIN}


def test_nothing_of_a_session_is_left(folder: Path) -> None:
    (folder / "test_one.py").write_text(
        "import tempfile\n"
        "from pathlib import Path\n"
        "from worker.testing import run_handler_sync\n"
        "async def handler(task): return 'done'\n"
        "def test_one():\n"
        "    assert run_handler_sync(handler, text='x').result == 'done'\n"
        "    from worker.testing.databases import databases\n"
        "    Path('left').write_text(f'{databases()._server.pid} {databases()._home}')\n"
    )
    done = run_pytest(folder, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    pid, home = (folder / "left").read_text().split()
    assert not process_lives(int(pid))
    assert not Path(home).exists()


MEETING = """
import time
from pathlib import Path

import pytest

from worker import Tasks
from worker.testing import LocalPlatform

NAMES = ["one", "other"]


@pytest.mark.parametrize("name", NAMES)
def test_a_platform_is_empty_beside_another(name: str, worker_platform: LocalPlatform) -> None:
    from worker.testing.databases import databases

    mine = Tasks().create(agent_id="a", prompt=name)
    Path(name).write_text(f"{databases()._server.pid} {databases()._home}")
    deadline = time.monotonic() + 60
    while not all(Path(each).exists() for each in NAMES):
        assert time.monotonic() < deadline, "the other test never ran beside this one"
        time.sleep(0.01)
    assert [each.id for each in Tasks().list(agent_id="a")] == [mine.id]
"""


def test_with_xdist_each_process_has_a_server_of_its_own_and_none_is_left(folder: Path) -> None:
    (folder / "test_meeting.py").write_text(MEETING)
    done = run_pytest(folder, "-p", "xdist.plugin", "--numprocesses", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    servers = [(folder / name).read_text().split() for name in ("one", "other")]
    assert servers[0] != servers[1]
    for pid, home in servers:
        assert not process_lives(int(pid))
        assert not Path(home).exists()
