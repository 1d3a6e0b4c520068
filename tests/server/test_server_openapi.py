"""The OpenAPI document is true: bodies nobody thought of get documented answers, never a 500."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.serving import Serving

TEXTS = st.text(max_size=20) | st.sampled_from(["", "a", "analyst", "\0", "..", "%", "x" * 300, "completed", "-1"])
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
STREAMS = "text/event-stream"


def routes() -> list[tuple[str, str]]:
    from worker.engine.engine import Engine
    from worker.server.app import create_app
    from worker.settings import Settings

    document = create_app(Engine("postgresql://nowhere"), Settings(_env_file=None)).openapi()  # pyright: ignore[reportCallIssue] # pydantic-settings' own option
    return sorted((path, method) for path, methods in document["paths"].items() for method in methods)


@pytest.fixture
def document(sync_client: httpx.Client) -> dict[str, Any]:
    return sync_client.get("/openapi.json").json()


def test_the_document_names_the_routes_and_their_errors(document: dict[str, Any]) -> None:
    assert {
        "/agent-execution/{agent_id}",
        "/agent-execution/{task_id}/status",
        "/agent-execution/{task_id}/update",
        "/agent-execution/{task_id}",
        "/agent-execution/{task_id}/events",
        "/agent-execution/{task_id}/events/push",
        "/agent-execution/{task_id}/files",
        "/agent-execution/{task_id}/attempts",
        "/agent-execution/{task_id}/retry",
        "/agent-execution/{agent_id}/report_task",
        "/agent-execution/executions/counts",
        "/agent-execution/executions/history",
        "/agent-execution/executions/history/{agent_id}",
        "/agent-execution/executions/history/user/{user_id}",
        "/activity/{agent_id}/{task_id}",
        "/agents-metrics/{agent_id}/execution",
        "/agents/list",
        "/agents/{agent_id}",
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
        "/health",
        "/ready",
    } == {path.replace("{name:path}", "{name}") for path in document["paths"]}
    create = document["paths"]["/agent-execution/{agent_id}"]["post"]["responses"]
    assert {"200", "401", "404", "409", "413", "422", "429", "503"} == create.keys()
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "x-api-key"


@pytest.mark.parametrize(("path", "method"), routes())
@pytest.mark.usefixtures("serving")
def test_no_body_makes_the_server_fail(
    path: str, method: str, sync_client: httpx.Client, document: dict[str, Any]
) -> None:
    operation = document["paths"][path][method]
    documented = {int(code) for code in operation["responses"]}
    shape = _fields(document, operation)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        address = path
        for name in [part.strip("{}").removesuffix(":path") for part in path.split("/") if part.startswith("{")]:
            value = data.draw(TEXTS.filter(bool))
            address = address.replace("{" + name + "}", "".join(f"%{byte:02X}" for byte in value.encode()))
        fields = {name: data.draw(JSONS) for name in shape if data.draw(st.booleans())}
        body = data.draw(st.just(fields) | JSONS) if method != "get" else None
        query = {each["name"]: data.draw(TEXTS) for each in operation.get("parameters", ()) if each["in"] == "query"}
        query = {name: value for name, value in query.items() if data.draw(st.booleans())}
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        with sync_client.stream(method.upper(), address, params=query, content=content, headers=headers) as answer:
            if answer.headers.get("content-type", "").startswith(STREAMS):
                return
            text = answer.read()
            ours = answer.status_code in documented or answer.status_code in (404, 405)  # 405: another route's address
            assert ours, (answer.status_code, text, address, body)
            if answer.status_code >= 400:
                assert json.loads(text)["status_code"] == answer.status_code

    ask()


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


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = content.get("$ref", "").rpartition("/")[2]
    return list(document["components"]["schemas"].get(name, {}).get("properties", {}))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'"\\ud800"', b"[" * 5000, b"NaN"])
def test_a_body_that_is_no_json_is_refused(serving: Serving, sync_client: httpx.Client, content: bytes) -> None:
    for path in ("/agent-execution/a", "/work", "/events/w", "/agent-execution/a/events/push"):
        answer = sync_client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["kind"] == "ValidationError"
