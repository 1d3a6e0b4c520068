"""What a clone and an installation consist of: files, locks, versions, the set-up, the wheel."""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("core", "demo", "deploy", "dev", "weights")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = canonicalize_name(PROJECT["project"]["name"])

REGISTRY = re.compile(r"\b(pypi|pythonhosted|npmjs|npmmirror)\.(org|com)\b|--(?:(?:extra-)?index-url|find-links)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}/~-])/(?:(?:home|Users)/\w+|(?:root|work|private/var|var/folders)/\w)")
LOCK_LINE = re.compile(r"[a-z0-9.-]+==[\w.]+( ; [^/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")


def project_files() -> Iterator[Path]:
    """Each file that a commit would hold: everything but the folders that .gitignore names."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/")}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ignored | {".git"}]
        yield from (Path(folder, name) for name in files if name != ".git" and not name.endswith(".pyc"))


def text_files() -> Iterator[tuple[Path, str]]:
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT), content.decode("utf-8", errors="replace")


@pytest.mark.parametrize("unwanted", [REGISTRY, MACHINE_PATH], ids=["a registry", "a path of one machine"])
def test_no_file_names(unwanted: re.Pattern[str]) -> None:
    found = [f"{path}: {match[0]}" for path, text in text_files() for match in unwanted.finditer(text)]
    assert found == []


def test_the_search_for_unwanted_words_sees_them() -> None:
    assert REGISTRY.search("see https://" + "pypi" + ".org/simple")
    assert MACHINE_PATH.search('"/' + 'home/somebody"')
    assert not MACHINE_PATH.search("POST /{organization}/work/x and worker/words/work.py")
    assert Path("requirements/dev.txt") in dict(text_files())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_versions_markers_and_hashes_alone(lock: str) -> None:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    assert [line for line in lines if not LOCK_LINE.fullmatch(line)] == []
    assert any("--hash" in line for line in lines)


def pins(lock: str) -> dict[str, set[str]]:
    """Name to the versions that a lock holds for one system or another."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines():
        if "==" in line and not line.startswith(" "):
            name, _, rest = line.partition("==")
            found.setdefault(name, set()).add(rest.split()[0])
    return found


def requirements_of(texts: list[str]) -> Iterator[Requirement]:
    """What these lines ask for in the end: an extra of this project stands for what it lists."""
    for requirement in map(Requirement, texts):
        if canonicalize_name(requirement.name) != NAME:
            yield requirement
            continue
        for extra in requirement.extras:
            yield from requirements_of(PROJECT["project"]["optional-dependencies"][extra])


def unlocked(texts: list[str], lock: str) -> list[str]:
    locked = pins(lock)
    return [
        str(requirement)
        for requirement in requirements_of(texts)
        if not (versions := locked.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in versions)
    ]


CORE: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_locked_for_development(extra: str) -> None:
    assert unlocked(CORE + EXTRAS[extra], "dev") == []


def test_each_lock_holds_what_it_is_for() -> None:
    build: list[str] = GROUPS["build"] + PROJECT["build-system"]["requires"]
    assert unlocked(CORE, "core") == []
    assert unlocked(CORE + EXTRAS["demo"] + build, "demo") == []
    assert unlocked(CORE + EXTRAS["server"] + EXTRAS["openai"] + EXTRAS["anthropic"] + build, "deploy") == []
    assert unlocked(build, "dev") == []
    assert unlocked(GROUPS["weights"], "weights") == []


@pytest.mark.parametrize("smaller", ["core", "demo", "deploy"])
def test_locks_agree_on_every_version(smaller: str) -> None:
    everything = pins("dev")
    assert {name: versions for name, versions in pins(smaller).items() if everything.get(name) != versions} == {}


def test_versions_agree() -> None:
    version = PROJECT["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert headings[0] in {"Unreleased", version}
    assert released[:1] in ([], [version])


@pytest.fixture
def set_up(tmp_path: Path) -> ModuleType:
    """The program that makes .venv, in a folder of its own whose .venv has a Python and no more."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    spec = importlib.util.spec_from_file_location("set_up", tmp_path / "requirements" / "set_up.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_interrupted_installation_is_not_taken_for_complete(set_up: ModuleType) -> None:
    assert not set_up.has_level("demo")
    assert not set_up.has_project()


def test_a_complete_installation_serves_what_it_includes(set_up: ModuleType) -> None:
    set_up.write_stamp("demo")
    assert set_up.has_level("demo")
    assert not set_up.has_level("dev")
    set_up.write_stamp("dev")
    assert set_up.has_level("demo")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_changed_lock_makes_the_installation_anew(set_up: ModuleType, lock: str) -> None:
    set_up.write_stamp("dev")
    with (set_up.LOCKS / f"{lock}.txt").open("a") as opened:
        opened.write("another==1 \\\n")
    assert not set_up.is_current(set_up.read_stamp())


def test_an_installation_whose_python_is_gone_is_made_anew(set_up: ModuleType) -> None:
    set_up.write_stamp("dev")
    set_up.PYTHON.unlink()
    assert not set_up.has_level("dev")


def test_two_installations_at_once_wait_for_each_other(set_up: ModuleType) -> None:
    folder = os.open(set_up.LOCKS, os.O_RDONLY)
    try:
        with set_up.only_one_at_a_time(), pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel as users get it, built by the backend of the lock without a network."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    wanted = {str(path.relative_to(ROOT)) for path in project_files() if path.is_relative_to(ROOT / "worker")}
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_the_wheel_holds_types_and_queries(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "worker/py.typed" in names
    assert any(name.endswith(".sql") for name in names)


def test_the_wheel_holds_license_and_command(wheel: zipfile.ZipFile) -> None:
    about = f"agno_worker-{PROJECT['project']['version']}.dist-info"
    assert wheel.read(f"{about}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert "worker = worker.cli:main" in wheel.read(f"{about}/entry_points.txt").decode()
    assert "License-Expression: MIT" in wheel.read(f"{about}/METADATA").decode()


def test_importing_it_warns_of_nothing() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", "import worker"], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("process", ["web", "worker", "release"])
def test_the_procfile_leaves_no_shell_between_signal_and_process(process: str) -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert lines[process].startswith("exec ")
