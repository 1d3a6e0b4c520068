"""Who sees what: signing in and out, forged forms, keys with limits, headers, and a server without a key."""

import re
from typing import Any

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer

from tests.conftest import execute
from tests.dashboard.browsing import KEY, Browser
from tests.dashboard.conftest import Browse
from tests.server.conftest import Start
from tests.server.serving import Serving
from worker.contracts import secrets
from worker.dashboard import visits
from worker.engine.engine import Engine
from worker.server.timings import ServerTimings
from worker.words.providers import ProviderFailure

PAGES = ("/", "/ui/live", "/ui/new", "/ui/workers", "/ui/agents", "/ui/dead", "/ui/deliveries", "/ui/tasks/x")


async def create(serving: Serving, organization_id: str = "default", agent: str = "analyst", **fields: Any) -> str:
    """Create a task over the server's own key, or as another organization."""
    new = {"input": {"text": "a secret question"}, **fields}
    key, _ = await _on_loop(serving, organization_id)
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": key}, timeout=30) as client:
        return (await client.post(f"/agent-execution/{agent}", json=new)).raise_for_status().json()["id"]


async def _on_loop(serving: Serving, organization_id: str, **options: Any) -> tuple[str, Any]:
    """A key of an organization, made by an engine of this test's own."""
    engine = Engine(serving.engine.core.url)
    await engine.open()
    try:
        return await engine.keys.create(organization_id, **options)
    finally:
        await engine.close()


@pytest.mark.parametrize("path", PAGES)
async def test_who_has_not_signed_in_is_sent_to_the_entrance(serving: Serving, browse: Browse, path: str) -> None:
    browser = await browse(serving)
    response = await browser.client.get(path)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/ui/sign-in")
    live = await browser.client.get(path, headers={"hx-request": "true"})
    assert (live.status_code, live.headers["hx-redirect"], live.text) == (401, "/ui/sign-in", "")


async def test_a_key_opens_the_pages_and_signing_out_closes_them(serving: Serving, browse: Browse) -> None:
    browser = await browse(serving)
    assert (await browser.sign_in("wrong")).status_code == 401
    assert (await browser.client.get("/")).status_code == 303
    signed_in = await browser.sign_in()
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert f"max-age={ServerTimings().session}" in cookie
    assert KEY not in cookie
    await browser.look("/")
    assert (await browser.send("/ui/sign-out")).headers["location"] == "/ui/sign-in?notice=out"
    assert (await browser.client.get("/")).status_code == 303


async def test_signing_out_ends_the_session_on_the_server_for_every_copy_of_its_cookie(
    serving: Serving, browse: Browse, browser: Browser
) -> None:
    other = await browse(serving)
    await other.sign_in()
    copied = browser.client.cookies[visits.NAME]
    headers = {"cookie": f"{visits.NAME}={copied}"}
    anywhere = await browse(serving)
    assert (await anywhere.client.get("/", headers=headers)).status_code == 200
    await browser.look("/")
    await browser.send("/ui/sign-out")
    assert (await anywhere.client.get("/", headers=headers)).status_code == 303
    await other.look("/")


async def test_who_reads_the_database_cannot_make_a_session_of_it(
    serving: Serving, browse: Browse, browser: Browser
) -> None:
    url = serving.engine.core.url
    known = [bytes(row[1]) for row in execute(url, "select name, value from worker.secrets where name like 'dash%'")]
    sessions = execute(url, "select digest, mark from worker.sessions")
    assert len(sessions) == 1
    for secret in known:
        for mark in sessions[0]:
            cookie = URLSafeTimedSerializer(secret).dumps(["nonce", mark])
            response = await browser.client.get("/", headers={"cookie": f"{visits.NAME}={cookie}"})
            assert response.status_code == 303
    assert known


async def test_with_a_secret_of_ours_the_database_has_none(start: Start, browse: Browse) -> None:
    serving = await start(key=KEY, secret="the new one and-the-old-one")
    browser = await browse(serving)
    await browser.sign_in()
    await browser.look("/")
    names = [row[0] for row in execute(serving.engine.core.url, "select name from worker.secrets")]
    assert [name for name in names if name.startswith(("dashboard", "file links", "answer links"))] == []


async def test_the_secrets_behind_cookies_rotate_and_the_last_ones_hold_meanwhile(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = secrets.period()
    monkeypatch.setattr(secrets, "period", lambda *_: period + 1)  # pyright: ignore[reportUnknownLambdaType]
    await browser.look("/")
    monkeypatch.setattr(secrets, "period", lambda *_: period + 2)  # pyright: ignore[reportUnknownLambdaType]
    assert (await browser.client.get("/")).status_code == 303


async def test_the_cookie_is_for_https_alone_where_the_browser_came_so(serving: Serving, browse: Browse) -> None:
    browser = await browse(serving)
    response = await browser.client.get("/ui/sign-in", headers={"x-forwarded-proto": "https"})
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-worker_visit=")
    assert "Secure" in cookie


@pytest.mark.parametrize("server_timings", [ServerTimings(known_key=0.0)], ids=["caches no key"])
async def test_a_visit_ends_after_its_time_and_with_its_key(serving: Serving, browse: Browse) -> None:
    text, key = await _on_loop(serving, "default")
    browser = await browse(serving)
    await browser.sign_in(text)
    await browser.look("/")
    engine = Engine(serving.engine.core.url)
    await engine.open()
    await engine.keys.revoke(key.id)
    await engine.close()
    assert (await browser.client.get("/")).status_code == 303
    await browser.sign_in()
    await browser.look("/")
    serving.service.timings = ServerTimings(session=-1)
    assert (await browser.client.get("/")).status_code == 303


@pytest.mark.parametrize("cookie", ["", "nonsense", "W10.aaaa.bbbb", "x" * 5000])
async def test_a_forged_cookie_is_none(serving: Serving, browse: Browse, cookie: str) -> None:
    browser = await browse(serving)
    response = await browser.client.get("/", headers={"cookie": f"{visits.NAME}={cookie}"})
    assert response.status_code == 303


@pytest.mark.parametrize(
    "path", ["/ui/new", "/ui/dead", "/ui/deliveries", "/ui/sign-out", "/ui/tasks/{}/stop", "/ui/tasks/{}/retry"]
)
@pytest.mark.parametrize("token", [None, "", "0" * 64])
async def test_a_form_of_another_site_changes_nothing(
    serving: Serving, browser: Browser, path: str, token: str | None
) -> None:
    task_id = await create(serving)
    data = {"agent": "analyst", "text": "forged", "task": task_id} | ({} if token is None else {"token": token})
    refused = await browser.client.post(path.format(task_id), data=data)
    assert refused.status_code == 403
    assert "does not belong to your session" in refused.text
    page = await browser.look("/")
    assert page.count('class="item"') == 1
    assert '<span class="pill pending">' in page


async def test_a_form_of_another_visit_is_forged_too(serving: Serving, browser: Browser, browse: Browse) -> None:
    other = await browse(serving)
    await other.sign_in()
    await other.look("/ui/new")
    refused = await browser.client.post("/ui/new", data={"token": other.token, "agent": "a", "text": "x"})
    assert refused.status_code == 403


async def test_who_signs_in_is_sent_where_he_wanted_to_go_and_never_to_another_host(
    serving: Serving, browse: Browse
) -> None:
    browser = await browse(serving)
    for wanted, reached in [
        ("/ui/workers?x=1", "/ui/workers?x=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
    ]:
        await browser.look("/ui/sign-in")
        response = await browser.send("/ui/sign-in", {"key": KEY, "next": wanted})
        assert response.headers["location"] == reached


async def test_every_answer_keeps_to_itself(serving: Serving, browser: Browser) -> None:
    task_id = await create(serving)
    for path in ("/", f"/ui/tasks/{task_id}", "/ui/nowhere", "/ui/static/dashboard.js", "/ui/sign-in"):
        headers = (await browser.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    page = await browser.look(f"/ui/tasks/{task_id}")
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|javascript:", page)


async def test_another_organizations_task_is_not_found(serving: Serving, browser: Browser) -> None:
    theirs = await create(serving, "theirs")
    await browser.look("/")
    for path in ("", "/stream", "/result.html", "/files/0"):
        assert (await browser.client.get(f"/ui/tasks/{theirs}{path}")).status_code == 404
    for verb in ("stop", "retry"):
        await browser.look("/ui/new")
        assert (await browser.send(f"/ui/tasks/{theirs}/{verb}")).status_code == 404
    assert (await browser.client.get(f"/ui/new?from={theirs}")).status_code == 404
    assert theirs not in await browser.look("/", before=theirs)
    assert (await browser.client.get("/theirs/ui")).status_code == 404


async def test_a_key_for_some_agents_sees_and_does_nothing_elsewhere(serving: Serving, browse: Browse) -> None:
    mine, others = await create(serving, agent="mine"), await create(serving, agent="others")
    text, _ = await _on_loop(serving, "default", agents=["mine"])
    browser = await browse(serving)
    await browser.sign_in(text)
    listed = await browser.look("/")
    assert mine in listed
    assert others not in listed
    assert "<b>1</b>" in listed
    await browser.look(f"/ui/tasks/{others}", 404)
    await browser.look("/ui/new")
    refused = await browser.send("/ui/new", {"agent": "others", "text": "x"})
    assert refused.status_code == 422
    await browser.send("/ui/dead", {"task": others})
    assert "others" not in await browser.look("/ui/agents")


async def test_without_a_key_the_pages_are_open_on_loopback_alone_and_say_so(start: Start, browse: Browse) -> None:
    serving = await start()
    browser = await browse(serving)
    assert "Anyone who can reach this address has full access" in await browser.look("/")
    await browser.look("/ui/new")
    made = await browser.send("/ui/new", {"agent": "a", "text": "x"})
    assert made.status_code == 303
    rebound = await browser.client.get("/", headers={"host": "evil.example"})
    assert rebound.status_code == 403
    assert "only answers requests to localhost" in rebound.text
    forged = await browser.client.post("/ui/new", data={"agent": "a", "text": "x"})
    assert forged.status_code == 403


async def test_pages_of_an_organization_that_the_address_names_link_to_each_other(start: Start, browse: Browse) -> None:
    serving = await start()
    browser = await browse(serving)
    await browser.look("/acme/ui/new")
    made = await browser.send("/acme/ui/new", {"agent": "a", "text": "acme's question"})
    assert made.headers["location"].startswith("/acme/ui/tasks/")
    page = await browser.look(made.headers["location"])
    assert 'href="/acme/ui/workers"' in page
    assert "acme&#39;s question" in await browser.look("/acme/ui")
    assert "question" not in await browser.look("/")


async def test_while_the_database_is_away_a_page_says_so_and_tries_again(start: Start, browse: Browse) -> None:
    serving = await start("postgresql://127.0.0.1:1/nowhere", key=KEY)
    page = await (await browse(serving)).look("/", 503)
    assert "This page reloads automatically." in page
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "<form" not in page


async def test_a_drained_worker_is_shown_as_draining(serving: Serving, browser: Browser, database_url: str) -> None:
    execute(
        database_url,
        """insert into worker.workers (id, organization_id, name, agents, any_agent, concurrency, has_lock,
                                       lease_seconds, lease_until, is_draining, hung_threads, memory, runs, recent,
                                       troubles)
           values ('w', 'default', 'dyno.1 <b>', '{analyst}', true, 4, false, 30, now() + interval '1 min', true,
                   3, 268435456, 41, '{task-2,task-1}', '{"shop.py:7 in look hangs"}')""",
    )
    ready = (await browser.client.get("/ready")).json()
    assert ready == {"status": "ready", "hung_threads": 3, "hung_workers": {"w": 3}}
    page = await browser.look("/ui/workers")
    assert "draining" in page
    assert "<dt>Memory</dt><dd>256 MiB</dd>" in page
    assert "<dt>Finished runs</dt><dd>41</dd>" in page
    assert "<dt>Hung threads</dt><dd>3</dd>" in page
    assert "<code>shop.py:7 in look hangs</code>" in page
    assert page.index('href="/ui/tasks/task-2"') < page.index('href="/ui/tasks/task-1"')
    assert "dyno.1 &lt;b&gt;" in page
    assert "analyst, any agent" in page


async def test_a_provider_that_is_away_is_on_every_page_and_in_the_figures(serving: Serving, browser: Browser) -> None:
    key = {"x-api-key": KEY}
    assert "agno_worker_providers_away 0.0" in (await browser.client.get("/metrics", headers=key)).text
    engine = Engine(serving.engine.core.url)
    await engine.open()
    try:
        await engine.work.provider_failed(ProviderFailure("openai-1", "quota", "<b>pay</b>", opens=True))
        for path in ("/", "/ui/workers"):
            page = await browser.look(path)
            assert "<strong>openai-1 is unavailable</strong> (quota): &lt;b&gt;pay&lt;/b&gt;" in page
            assert "worker provider resume|fail openai-1" in page
        await engine.tasks.resume_provider("openai-1")
    finally:
        await engine.close()
    assert "is unavailable" not in await browser.look("/")


async def test_the_api_is_shown_by_files_of_our_own_to_who_has_signed_in(
    serving: Serving, browse: Browse, browser: Browser
) -> None:
    stranger = await browse(serving)
    assert (await stranger.client.get("/docs")).headers["location"] == "/ui/docs"
    assert (await stranger.client.get("/ui/docs")).headers["location"].startswith("/ui/sign-in")
    page = await browser.look("/ui/docs")
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 4
    assert all(each.startswith("/ui/static/") for each in named)
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", page)
    assert [(await browser.client.get(each)).status_code for each in named] == [200] * 4
    policy = (await browser.client.get("/ui/docs")).headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
