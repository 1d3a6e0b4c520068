"""A server without a key, and pages of other sites in a browser on the same machine."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.conftest import KEY, Start
from tests.server.matrix import BODIES, status_of
from tests.server.serving import Serving
from worker.contracts.access import PAGES, ROUTES

REBOUND = {"host": "evil.example:8080"}
OF_OTHER_SITES = (
    REBOUND,
    {"host": "localhost.evil.example"},
    {"host": ""},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
async def keyless(start: Start) -> Serving:
    return await start()


@pytest.fixture
async def browser(keyless: Serving) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=keyless.base, timeout=30) as client:
        yield client


async def test_no_route_and_no_page_answers_another_site(browser: httpx.AsyncClient) -> None:
    rows = [*ROUTES, *PAGES]
    for number, row in enumerate(rows):
        method, _, path = row.partition(" ")
        address = path.replace("{number:int}", "0").replace("{name:path}", "f").replace("{rest:path}", "x")
        for name in ("agent_id", "task_id", "worker_id", "user_id", "sha256"):
            address = address.replace(f"{{{name}}}", "any")
        headers = {**OF_OTHER_SITES[number % len(OF_OTHER_SITES)], "x-api-key": "any"}
        status, text = await status_of(browser, method, address, headers=headers, json=BODIES.get(row, {}))
        assert (status, "Without an API key" in text) == (403, True), (row, headers, text)


@pytest.mark.parametrize("headers", OF_OTHER_SITES, ids=str)
async def test_a_page_of_another_site_creates_reads_and_retries_nothing(
    keyless: Serving, browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    task = (await browser.post("/agent-execution/a", json={"input": {"text": "mine"}})).json()
    task_id = task["id"]
    plain = {**headers, "content-type": "text/plain"}
    for method, path in (
        ("GET", f"/agent-execution/{task_id}/status"),
        ("GET", "/"),
        ("POST", "/agent-execution/a"),
        ("DELETE", f"/agent-execution/{task_id}"),
        ("POST", f"/agent-execution/{task_id}/retry"),
        ("GET", "/events/a"),
    ):
        refused = await browser.request(method, path, headers=plain, content=b'{"input":{"text":"planted"}}')
        assert refused.status_code == 403, (path, refused.text)
        assert "mine" not in refused.text
    assert len((await browser.get("/agent-execution/executions/history")).json()) == 1
    assert (await browser.get(f"/agent-execution/{task_id}/status")).json() == task
    assert (await browser.get("/workers")).json() == {"workers": []}
    del keyless


async def test_what_our_own_pages_and_programs_send_is_served(keyless: Serving, browser: httpx.AsyncClient) -> None:
    own = {"origin": keyless.base, "sec-fetch-site": "same-origin"}
    assert (await browser.get("/agents/list", headers=own)).status_code == 200
    assert (await browser.post("/agent-execution/a", json={"input": {"text": "x"}}, headers=own)).status_code == 200
    for host in (f"localhost:{keyless.port}", "127.0.0.1", "[::1]:1", "worker.localhost"):
        assert (await browser.get("/agents/list", headers={"host": host})).status_code == 200, host
    assert (await browser.get("/", headers=LINK)).status_code == 200, "a link in a chat leads to the page"
    assert (await browser.get("/agents/list", headers=LINK)).status_code == 403
    assert (await browser.post("/ui/new", headers=LINK)).status_code == 403


async def test_a_get_registers_a_worker_only_for_a_program(browser: httpx.AsyncClient) -> None:
    refused = await browser.get("/events/a")
    assert (refused.status_code, "x-api-key" in refused.text) == (403, True)
    assert (await browser.get("/workers")).json() == {"workers": []}
    assert (await status_of(browser, "GET", "/events/a", headers={"x-api-key": "any"}))[0] == 200


async def test_with_a_key_the_name_of_the_host_is_the_operators(start: Start) -> None:
    serving = await start(key=KEY)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY, **REBOUND}, timeout=30) as client:
        assert (await client.get("/agents/list")).status_code == 200
