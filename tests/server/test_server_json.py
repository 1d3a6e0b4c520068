"""Bodies of JSON are looked over before they are parsed: however many values or levels, nothing is made of them."""

import json
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from worker.contracts.access import ROUTES
from worker.server.limits.json_bodies import VALUES, check

MANY = 3 * VALUES
HOSTILE = {
    "lists": (b"[" + b"[]," * MANY + b"1]", 413),
    "objects": (b"[" + b"{}," * MANY + b"1]", 413),
    "numbers": (b"[" + b"1," * MANY + b"1]", 413),
    "texts": (b"[" + b'"",' * MANY + b"1]", 413),
    "names": (b"{" + b'"a":0,' * MANY + b'"a":0}', 413),
    "deep": (b"[" * 5000 + b"]" * 5000, 422),
    "deep objects": (b'{"a":' * 5000 + b"1" + b"}" * 5000, 422),
    "deep and never closed": (b"[" * 5000 + b'"', 422),
}
TAKEN: dict[str, Any] = {
    "brackets in a text": ["[{" * MANY],
    "commas in a text": {"csv": "a,b\n" * MANY},
    "quotes in a text": ['"[\\' * MANY],
    "as deep as may be": json.loads("[" * 100 + "]" * 100),
    "as many as may be": [0] * (VALUES - 2),
    "many small things": [{"a": [1, {"b": "c,d"}]}] * 20_000,
}


@pytest.mark.parametrize("body", HOSTILE)
def test_what_a_parser_would_make_too_much_of_is_refused(body: str) -> None:
    content, status = HOSTILE[body]
    with pytest.raises(HTTPException) as refused:
        check(content)
    assert refused.value.status_code == status


@pytest.mark.parametrize("body", TAKEN)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_is_large_and_no_more_than_that_is_taken(body: str, ascii_only: bool) -> None:
    check(json.dumps(TAKEN[body], ensure_ascii=ascii_only).encode())


async def test_every_route_that_reads_json_looks_it_over(client: httpx.AsyncClient) -> None:
    content, status = HOSTILE["deep"]
    for name in ROUTES:
        method, _, path = name.partition(" ")
        if method in ("GET", "DELETE") or name in BODILESS:
            continue
        for part in ("agent_id", "task_id", "knowledge_base_id"):
            path = path.replace(f"{{{part}}}", "analyst")
        answer = await client.request(method, path, content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, "nested more than" in answer.text) == (status, True), f"{name}: {answer.text}"


BODILESS = {
    "POST /files",  # it takes a file as it is
    "POST /agent-execution/{task_id}/retry",
    "POST /agent-execution/{task_id}/skip",
    "POST /providers/{provider_id}/resume",
    "POST /providers/{provider_id}/fail",
    "POST /keys/{key_id}/revoke",
    "POST /agents/{agent_id}/operations/{tool_id}",
    "PATCH /agents/{agent_id}/sync_local_tools",
    "POST /events/{worker_id}",  # it is asked for a worker of one's own before
}
