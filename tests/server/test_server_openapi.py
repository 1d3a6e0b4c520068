"""The OpenAPI document is true: requests nobody thought of get documented answers, never a 500."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from tests.server.conftest import KEY
from tests.server.serving import Serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
STREAM = "/events/{agent_id}"  # a worker's stream goes on for ever; what it answers at first has tests of its own
SECONDS = 600
QUICK = ["--phases", "fuzzing", "--max-examples", "3", "--generation-deterministic"]


@pytest.fixture
def document(sync_client: httpx.Client) -> dict[str, Any]:
    return sync_client.get("/openapi.json").json()


def test_the_document_is_created_off_the_event_loop(serving: Serving) -> None:
    """Nobody needs a key to ask for it, and it takes about a second."""
    (route,) = [each for each in serving.app.routes if isinstance(each, Route) and each.path == "/openapi.json"]
    assert not inspect.iscoroutinefunction(route.endpoint)


def test_the_document_names_the_routes_and_their_errors(document: dict[str, Any]) -> None:
    assert {
        "/agent-execution/{agent_id}",
        "/agent-execution/{task_id}/status",
        "/agent-execution/{task_id}/update",
        "/agent-execution/{task_id}",
        "/agent-execution/{task_id}/events",
        "/agent-execution/{task_id}/events/push",
        "/agent-execution/{task_id}/files",
        "/agent-execution/{task_id}/artifacts",
        "/knowledge_bases",
        "/knowledge_bases/create",
        "/knowledge_bases/{knowledge_base_id}",
        "/knowledge_bases/{knowledge_base_id}/details",
        "/knowledge_bases/{knowledge_base_id}/erase",
        "/knowledge_bases/{knowledge_base_id}/list",
        "/agent-execution/{task_id}/attempts",
        "/agent-execution/{task_id}/retry",
        "/agent-execution/{task_id}/answer",
        "/requests",
        "/agent-execution/{task_id}/signals",
        "/agent-execution/{task_id}/skip",
        "/conversations",
        "/conversations/{conversation_id}",
        "/agent-execution/{task_id}/messages",
        "/agent-execution/{agent_id}/report_task",
        "/agent-execution/executions/counts",
        "/agent-execution/executions/history",
        "/agent-execution/executions/history/{agent_id}",
        "/agent-execution/executions/history/user/{user_id}",
        "/activity/{agent_id}/{task_id}",
        "/agents-metrics/{agent_id}/execution",
        "/agents/list",
        "/agents/{agent_id}",
        "/agents/{agent_id}/operations/{tool_id}",
        "/agents/{agent_id}/sync_local_tools",
        "/deliveries",
        "/deliveries/retry",
        "/events/{agent_id}",
        "/events/{worker_id}",
        "/metrics",
        "/files",
        "/files/{sha256}/{name}",
        "/metadata/api_key_allowance",
        "/metadata/default_llm_extra_headers",
        "/work",
        "/workers",
        "/providers",
        "/providers/{provider_id}/fail",
        "/providers/{provider_id}/resume",
        "/audit",
        "/keys",
        "/keys/{key_id}/revoke",
        "/health",
        "/ready",
    } == {path.replace("{name:path}", "{name}") for path in document["paths"]}
    create = document["paths"]["/agent-execution/{agent_id}"]["post"]["responses"]
    assert {"200", "401", "404", "409", "413", "422", "429", "503"} == create.keys()
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "x-api-key"


@pytest.mark.timeout(SECONDS)
def test_requests_made_up_from_the_document_are_answered_as_it_says(serving: Serving, tmp_path: Path) -> None:
    """All checks of schemathesis, with a key; ``SCHEMATHESIS_EXAMPLES=200`` tries longer, each time something else."""
    examples = os.environ.get("SCHEMATHESIS_EXAMPLES")
    how = ["--phases", "coverage,fuzzing", "--max-examples", examples] if examples else QUICK
    command = [shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or "schemathesis"]
    command += ["--config-file", str(CONFIGURATION), "run", f"{serving.base}/openapi.json", "--header"]
    command += [f"x-api-key: {KEY}", "--exclude-path", STREAM, "--checks", "all", "--request-timeout", "30", *how]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("depth", [40, 60, 150, 400])
def test_a_body_however_deep_is_taken_or_refused(sync_client: httpx.Client, depth: int) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = {"d": [deep]} if depth % 200 else [deep]
    task = sync_client.post("/agent-execution/a", json={"input": {"text": "x"}}).json()
    path = f"/agent-execution/{task['id']}"
    save = {"verb": "save", "task_id": task["id"]}
    for answer in (
        sync_client.post("/agent-execution/a", json={"input": {"text": "x"}, "payload_extension": {"d": deep}}),
        sync_client.patch(f"{path}/update", json={"result": deep}),
        sync_client.patch(f"{path}/update", json={"payload_extension": {"d": deep}}),
        sync_client.post(f"{path}/events/push", json=[{"type": "chunk", "data": deep}]),
        sync_client.post("/work", json={"verbs": [{**save, "changes": {"result": deep}}]}),
        sync_client.put("/agents/a", json={"id": "a", "name": "a", "unique_name": "a", "output_schema": {"d": deep}}),
    ):
        assert answer.status_code in (200, 422), (answer.request.url, answer.text[:200])
    assert sync_client.get(f"{path}/status").status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'"\\ud800"', b"[" * 5000, b"NaN"])
def test_a_body_that_is_no_json_is_refused(serving: Serving, sync_client: httpx.Client, content: bytes) -> None:
    for path in ("/agent-execution/a", "/work", "/agent-execution/a/events/push"):
        answer = sync_client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["kind"] == "ValidationError"
