"""What any HTTP client may expect: HEAD, forms, and browsers on pages of other origins."""

import httpx
import pydantic
import pytest

from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from worker.settings import Settings

PAGE = "https://app.example"


@pytest.mark.parametrize(
    "path", ["/health", "/agents/list", "/agent-execution/executions/history", "/openapi.json", "/nowhere"]
)
async def test_head_answers_as_get_does_without_a_body(client: httpx.AsyncClient, path: str) -> None:
    asked, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (asked.status_code, asked.headers["content-type"])
    assert head.headers["content-length"] == str(len(asked.content))
    assert head.content == b""
    assert (await client.get("/health")).status_code == 200, "the connection goes on"


async def test_head_of_a_stream_ends_at_once_and_registers_nobody(client: httpx.AsyncClient) -> None:
    task = (await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})).json()
    for path in (f"/default/agent-execution/{task['id']}/events", "/default/events/analyst/?environment=local"):
        head = await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
    assert (await client.get("/workers")).json() == {"workers": []}


async def test_head_is_among_the_methods_that_are_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.put("/health")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_file_comes_by_a_form_too(client: httpx.AsyncClient) -> None:
    """As ``curl -F file=@report.csv`` sends it."""
    sent = {"file": ("report.csv", b"a,b\n1,2\n", "text/csv")}
    answer = await client.post("/files", files=sent, data={"comment": "of May"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["reference"].endswith("/report.csv")
    fetched = await client.get(answer.json()["url"])
    assert (fetched.content, fetched.headers["content-type"]) == (b"a,b\n1,2\n", "text/csv; charset=utf-8")


async def test_a_form_of_no_file_or_of_several_is_refused(client: httpx.AsyncClient) -> None:
    two = [("file", ("a.txt", b"a", "text/plain")), ("file", ("b.txt", b"b", "text/plain"))]
    several = await client.post("/files", files=two)
    none = await client.post("/files", files={"field": (None, "text")})
    for answer in (several, none):
        assert (answer.status_code, answer.json()["field"]) == (422, "file")
    broken = await client.post("/files", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 422


async def test_a_page_of_a_named_origin_may_use_the_server_and_no_other(start: Start) -> None:
    serving = await start(key=KEY, cors_origins=f"{PAGE}, http://localhost:5173")
    asking = {"access-control-request-method": "PATCH", "access-control-request-headers": "x-api-key,content-type"}
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        allowed = await client.options("/agent-execution/a", headers={"origin": PAGE, **asking})
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
        assert "x-api-key" in allowed.headers["access-control-allow-headers"]
        made = await client.post("/agent-execution/a", json={"input": {"text": "x"}}, headers={"origin": PAGE})
        assert (made.status_code, made.headers["access-control-allow-origin"]) == (200, PAGE)
        other = await client.options("/agent-execution/a", headers={"origin": "https://evil.example", **asking})
        assert other.status_code == 400
        assert "access-control-allow-origin" not in other.headers
        assert "access-control-allow-credentials" not in made.headers


async def test_without_the_setting_no_page_of_another_origin_may(serving: Serving) -> None:
    async with httpx.AsyncClient(
        base_url=serving.base, headers={"x-api-key": KEY, "origin": PAGE}, timeout=30
    ) as client:
        assert "access-control-allow-origin" not in (await client.get("/agents/list")).headers


@pytest.mark.parametrize("origins", ["*", "app.example", "https://app.example/path", "https://a b", "null"])
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="an origin consists of a scheme, host and port"):
        Settings.model_validate({"cors_origins": origins})


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/keys", {"name": "x", "rloe": "viewer"}, "rloe"),
        ("/keys", {"name": "x", "agnets": ["analyst"]}, "agnets"),
        ("/deliveries/retry", {"all": True, "agentid": "analyst"}, "agentid"),
        ("/agent-execution/{}/signals", {"name": "paid", "dta": 1}, "dta"),
        ("/agent-execution/{}/messages", {"text": "x", "form": "y"}, "form"),
        ("/agent-execution/{}/answer", {"aprove": True}, "answers.0.aprove"),
        ("/agent-execution/{}/answer", {"answers": [{"approve": True}], "nte": "x"}, "nte"),
    ],
)
async def test_a_misspelled_field_is_refused_where_the_public_client_does_not_call(
    client: httpx.AsyncClient, path: str, body: dict[str, object], field: str
) -> None:
    task = (await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})).json()
    refused = await client.post(path.format(task["id"]), json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert refused.json()["description"] == f"{field}: this request has no such field"


async def test_a_misspelled_option_of_a_new_task_is_noted_in_its_log(client: httpx.AsyncClient) -> None:
    body = {"input": {"text": "x", "more": 1}, "titel": "Report", "zz": 2, "think_mode": None}
    made = await client.post("/agent-execution/analyst", json=body)
    assert (made.status_code, made.json()["title"], made.json()["input"]["more"]) == (200, None, 1)
    log = await client.get(f"/agent-execution/{made.json()['id']}/events", params={"follow": False})
    assert "Unknown fields of the request were ignored: 'titel' (similar to 'title')." in log.text


async def test_a_misspelled_field_of_an_input_or_a_save_is_noted_in_the_tasks_log(client: httpx.AsyncClient) -> None:
    body = {"input": {"text": "x", "fils": ["https://a.example/b.pdf"], "other": 1}}
    task_id = (await client.post("/agent-execution/analyst", json=body)).json()["id"]
    path = f"/agent-execution/{task_id}"
    whole = (await client.get(f"{path}/status")).json()
    saved = await client.patch(f"{path}/update", json={**whole, "tool_call_payload_extension": {}, "new": 1})
    assert saved.status_code == 200
    assert (await client.patch(f"{path}/update", json={"status": "completed", "reslt": "x"})).status_code == 200
    log = (await client.get(f"{path}/events", params={"follow": False})).text
    assert "were ignored: 'input.fils' (similar to 'input.files')." in log
    assert "were ignored: 'reslt' (similar to 'result')." in log
    assert log.count("were ignored") == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/knowledge_bases/create", {"name": "x", "descripton": "y"}),
        ("POST", "/agent-execution/analyst/report_task", {"reslt": "x"}),
        ("PUT", "/agents/a", {"id": "a", "name": "a", "unique_name": "a", "instruction": {}}),
    ],
)
async def test_a_misspelled_field_is_refused_where_no_log_could_tell(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, object]
) -> None:
    refused = await client.request(method, path, json=body)
    assert (refused.status_code, "similar to" in refused.json()["description"]) == (422, True)
    right = {
        {"descripton": "description", "reslt": "result", "instruction": "instructions"}.get(name, name): value
        for name, value in body.items()
    }
    assert (await client.request(method, path, json={**right, "of tomorrow": 1})).status_code == 200


@pytest.mark.parametrize("dialect", ["native", ""])
async def test_an_agent_as_it_was_read_can_be_saved(client: httpx.AsyncClient, dialect: str) -> None:
    await client.put("/agents/a", json={"id": "a", "name": "a", "unique_name": "a"})
    read = (await client.get("/agents/a", headers={"x-dialect": dialect})).json()
    assert (await client.put("/agents/a", json=read)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/agent-execution/analyst"),
        ("PATCH", "/agent-execution/{}/update"),
        ("POST", "/keys"),
        ("POST", "/work"),
    ],
)
@pytest.mark.parametrize("padding", [0, 100_000])
async def test_a_field_that_is_named_twice_is_refused(
    client: httpx.AsyncClient, method: str, path: str, padding: int
) -> None:
    task = (await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})).json()
    body = f'{{"input": {{"text": "harmless", "text": "{"x" * padding}"}}}}'
    headers = {"content-type": "application/json"}
    refused = await client.request(method, path.format(task["id"]), content=body, headers=headers)
    assert (refused.status_code, refused.json()["description"]) == (
        422,
        "The request body names the field 'text' twice.",
    )


async def test_only_the_platform_says_that_nobody_answered(client: httpx.AsyncClient) -> None:
    task = (await client.post("/agent-execution/analyst", json={"input": {"text": "x"}})).json()
    refused = await client.post(f"/agent-execution/{task['id']}/answer", json={"approve": False, "unanswered": True})
    assert (refused.status_code, refused.json()["field"]) == (422, "answers.0.unanswered")


@pytest.mark.parametrize("field", ["llm_model_provider", "llm_model_name"])
async def test_an_address_as_a_models_name_is_refused_by_its_field(client: httpx.AsyncClient, field: str) -> None:
    body = {"input": {"text": "x"}, field: "https://evil.example/v1"}
    refused = await client.post("/agent-execution/analyst", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert (await client.get("/agent-execution/executions/history/analyst")).json() == []


async def test_a_field_that_takes_several_types_is_called_by_its_name(client: httpx.AsyncClient) -> None:
    refused = await client.post("/agent-execution/analyst/report_task", json={"input": ["x"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "input")
