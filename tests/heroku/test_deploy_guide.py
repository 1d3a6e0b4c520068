"""docs/deploy.md: what it shows parses, what it names exists, and every process is given time to leave."""

import configparser
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] - it has no types of its own
from typer.main import get_command

from tests.cli.shells import ROOT
from worker.cli import heroku_plans
from worker.cli.app import app
from worker.cli.heroku_check import HAND_BACK_SECONDS, RELEASE_CONNECTIONS
from worker.engine.core import CONNECTIONS
from worker.engine.timings import DEFAULT as TIMINGS
from worker.settings import Settings, table

GUIDE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)
DRAIN_SECONDS: float = Settings.model_fields["drain_seconds"].default


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def documents() -> Iterator[dict[str, Any]]:
    for text in blocks("yaml"):
        yield from yaml.safe_load_all(text)


def commands_shown() -> set[tuple[str, ...]]:
    """Every command line of ours, in prose, shells, units and YAML."""
    inline = re.findall(r"`(worker [^`]+)`", GUIDE)
    shells = [line.removeprefix("heroku run ") for text in blocks("console") for line in text.splitlines()]
    shells = [re.sub(r"^\S*/bin/worker", "worker", line) for line in shells]
    execs = [f"worker {rest}" for rest in re.findall(r"exec (?:python -m )?worker ([^`\n]+)", GUIDE)]
    units = [f"worker {rest}" for rest in re.findall(r"^ExecStart=\S+/worker (.+)$", GUIDE, re.MULTILINE)]
    lists = [" ".join(re.findall(r"[^\", ]+", each)) for each in re.findall(r'\[("worker", [^\]]+)\]', GUIDE)]
    lines = [*inline, *shells, *execs, *units, *lists]
    return {tuple(shlex.split(line)) for line in lines if line.startswith("worker ") and "worker.1" not in line}


def test_every_command_exists_with_its_options() -> None:
    shown = commands_shown()
    assert {("worker", "serve"), ("worker", "run"), ("worker", "migrate")} <= shown
    for _, *words in sorted(shown):
        command: Any = get_command(app)
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, (command.name, words)


def test_every_setting_exists() -> None:
    named = set(re.findall(r"\b((?:WORKER|XPANDER)_[A-Z_]+|DATABASE_URL|PORT)\b", GUIDE))
    assert named <= {name for name, _, _ in table()}
    assert {"WORKER_DRAIN_SECONDS", "WORKER_API_KEY", "DATABASE_URL"} <= named


@pytest.mark.parametrize("text", blocks("console"))
def test_shell_lines_can_be_read_by_a_shell(text: str) -> None:
    read = subprocess.run(["/bin/bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_the_procfile_is_the_one_that_there_is() -> None:
    (text,) = blocks("text")
    assert re.findall(r"(\w+: exec .*)", text) == (ROOT / "Procfile").read_text().splitlines()


def test_kubernetes_gives_every_process_time_to_leave() -> None:
    deployments = [each for each in documents() if each.get("kind") == "Deployment"]
    assert len(deployments) == 2
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        drain = float(variables.get("WORKER_DRAIN_SECONDS", DRAIN_SECONDS))
        assert pod["terminationGracePeriodSeconds"] > drain + HAND_BACK_SECONDS, deployment["metadata"]["name"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels


def test_probes_ask_what_the_server_answers_without_a_key() -> None:
    from fastapi.testclient import TestClient

    from worker.engine.engine import Engine
    from worker.server.app import create_app

    (server,) = [each for each in documents() if each.get("metadata", {}).get("name") == "agno-worker-server"][:1]
    (container,) = server["spec"]["template"]["spec"]["containers"]
    paths = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert paths == {"/health", "/ready"}
    application = create_app(Engine("postgresql://127.0.0.1:1/x"), Settings(server_key="k"), open_without_key=False)  # type: ignore[arg-type] - pydantic makes a secret of it
    client = TestClient(application)  # not started: the database is away
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 503


def test_compose_gives_the_worker_time_to_leave() -> None:
    (compose,) = [each for each in documents() if "services" in each]
    worker = compose["services"]["worker"]
    grace = float(worker["stop_grace_period"].removesuffix("s"))
    assert grace > float(worker["environment"]["WORKER_DRAIN_SECONDS"]) + HAND_BACK_SECONDS
    assert compose["services"]["server"]["environment"]["DATABASE_URL"] == worker["environment"]["DATABASE_URL"]
    assert compose["services"]["release"]["command"] == ["worker", "migrate"]


def test_systemd_gives_the_worker_time_to_leave() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] - as its documentation says
    unit.read_string(blocks("ini")[0])
    assert float(unit["Service"]["TimeoutStopSec"]) > DRAIN_SECONDS + HAND_BACK_SECONDS
    assert unit["Service"]["KillMode"] == "mixed"


def test_the_image_runs_the_worker_as_process_one_and_not_as_root() -> None:
    (dockerfile,) = blocks("dockerfile")
    instructions = [line.split(" ", 1) for line in dockerfile.splitlines() if line and not line.startswith("#")]
    assert instructions[-1] == ["CMD", '["worker", "run"]']
    assert ["USER", "1000"] in instructions, "Kubernetes cannot tell a name from root"
    assert all(name in {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "CMD"} for name, _ in instructions)


def test_the_table_of_connections_is_what_the_check_counts_with() -> None:
    rows = re.findall(r"^\| ([a-z0-9, -]+) \| (\d+) \| (\d+) \|$", GUIDE, flags=re.MULTILINE)
    assert len(rows) == 4
    for plans, limit, processes in rows:
        assert {heroku_plans.connections(plan) for plan in plans.split(", ")} == {int(limit)}
        assert int(processes) == (int(limit) - RELEASE_CONNECTIONS) // (2 * CONNECTIONS)


def test_seconds_are_those_of_the_code() -> None:
    assert f"`WORKER_DRAIN_SECONDS` is {DRAIN_SECONDS:g} by default: six are left" in GUIDE
    assert HAND_BACK_SECONDS == 6
    assert (TIMINGS.migration_lock, TIMINGS.migration) == (2, 120)
    assert f"`WORKER_RETENTION_DAYS` ({Settings.model_fields['retention_days'].default};" in GUIDE


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", GUIDE):
        path, _, anchor = target.partition("#")
        assert (ROOT / "docs" / path).exists() if path else anchor in headings, target


def test_the_project_is_installed_without_fetching_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Heroku's buildpack runs after it has installed the lock."""
    bin_folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    script = ROOT / "bin" / "post_compile"
    done = subprocess.run([script, "--target", tmp_path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "worker").exists()
    assert (tmp_path / "worker" / "py.typed").exists()


def test_no_container_of_the_manifests_needs_root_or_a_writable_disk() -> None:
    (manifests,) = [block for block in blocks("yaml") if "kind: Deployment" in block]
    pods = [each["spec"]["template"]["spec"] for each in yaml.safe_load_all(manifests) if "template" in each["spec"]]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        closed = container["securityContext"]
        assert (closed["allowPrivilegeEscalation"], closed["readOnlyRootFilesystem"]) == (False, True)
        assert closed["capabilities"] == {"drop": ["ALL"]}
        assert [each["name"] for each in container["volumeMounts"]] == [each["name"] for each in pod["volumes"]]
