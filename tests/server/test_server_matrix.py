"""The matrix of access: every route, verb and page by every role, other agents, other organizations, and no valid key.

It is made from the table in ``contracts/access.py``: what is not in the table is not served.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from tests.dashboard.browsing import Browser
from tests.server.conftest import KEY
from tests.server.matrix import (
    BODIES,
    FOREIGN,
    MINE,
    ORGANIZATION,
    OTHER,
    SECRET_TEXT,
    TALK,
    THEIRS,
    Case,
    Holder,
    World,
    expected,
    shown,
    signed_in,
    status_of,
    targets,
)
from tests.server.serving import Serving
from worker.contracts import AccessRule, AccessScope
from worker.contracts.access import PAGES, ROUTES, VERBS
from worker.dashboard import app as pages
from worker.engine.engine import Engine
from worker.server.timings import ServerTimings
from worker.server.verbs import runner as verbs
from worker.words.ids import new_id
from worker.words.roles import Role

RUN_VERBS = (
    "emit",
    "save",
    "journal",
    "told",
    "messages",
    "keep_files",
    "finish",
    "hand_back",
    "crashed",
    "make_children",
    "children",
)
MORE: dict[str, dict[str, Any]] = {
    "provider_failed": {"id": "p", "error_code": "timeout", "message": "m"},
    "provider_answered": {"id": "p"},
    "emit": {"events": [{"type": "chunk", "data": "x"}], "journal": [["k", "1"]]},
    "save": {"changes": {"title": "written"}},
    "keep_files": {"files": []},
    "store_document": {"knowledge_base_id": "kb", "document_id": "d", "first": 0},
    "finish": {"outcome": {"status": "completed"}},
    "crashed": {"reason": "killed"},
    "children": {"children": ["c"]},
    "save_artifacts": {"artifacts": []},
    "lost": {"held": {}},
    "assignments": {"demand": {"total": 0}},
    "deliveries": {"limit": 0},
    "report": {"memory": 1, "runs": 1},
}


def more(verb: str) -> dict[str, Any]:
    """What a verb brings beside the run and the worker."""
    if verb == "make_children":
        return {"children": [{"child_id": new_id(), "agent_id": MINE, "input": {"text": "x"}}]}
    return MORE.get(verb, {})


@pytest.fixture
def server_timings() -> ServerTimings:
    """Leases outlast a test, since nobody sends heartbeats here."""
    return ServerTimings(lease=600.0)


@pytest.fixture
async def world(serving: Serving, engine: Engine, database_url: str) -> AsyncIterator[World]:
    """A server with keys of every kind."""
    async with (
        httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as admin,
        httpx.AsyncClient(base_url=serving.base, timeout=30) as client,
    ):
        yield await World(serving.base, engine, database_url, client, admin).fill()


def served(routes: Any) -> Iterator[str]:
    """Method and path of every route."""
    for route in routes:
        if isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"})


def test_every_route_verb_and_page_has_its_row(serving: Serving) -> None:
    of_pages = {"GET /", "GET /ui"}
    assert set(served(serving.app.routes)) - of_pages == set(ROUTES)
    assert set(verbs.VERBS) == set(VERBS)
    assert {*pages.SERVED, "GET /ui/static"} == set(PAGES)
    assert [each.path for each in serving.app.routes if isinstance(each, Mount)] == ["/ui"]


async def test_a_route_without_a_row_is_not_served(serving: Serving, client: httpx.AsyncClient) -> None:
    @serving.app.get("/surprise")
    async def surprise() -> str:
        return "open"

    del surprise
    refused = await client.get("/surprise")
    assert refused.status_code == 404
    assert "no access rule is defined for it" in refused.text


async def test_every_route(world: World) -> None:
    before = world.others()
    differences: list[str] = []
    for holder in world.holders:
        for name, rule in ROUTES.items():
            for target in targets(holder):
                differences += await _route(world, Case(holder, name, rule, target))
    assert not differences, shown(differences)
    assert world.others() == before


async def _route(world: World, case: Case) -> list[str]:
    holder, name, rule, target = case.holder, case.name, case.rule, case.target
    method, _, path = name.partition(" ")
    if method == "DELETE" and path.startswith("/agents/"):
        await world.admin.put(f"/agents/{target}", json={"id": target, "name": target, "unique_name": target})
    task_id = world.tasks[target]
    if target == MINE and method in ("DELETE", "PATCH", "POST") and "{task_id}" in path:
        task_id = await world.create(MINE)  # what is asked may end it
    base_id = world.bases[target]
    if target == MINE and method == "DELETE" and "{knowledge_base_id}" in path:
        base_id = await world.create_base(MINE)  # the same
    address = path.replace("{task_id}", task_id).replace("{agent_id}", target).replace("{user_id}", "u")
    address = address.replace("{worker_id}", "w-of-nobody").replace("{sha256}", world.sha256)
    address = address.replace("{name:path}", "f").replace("{tool_id}", "t").replace("{knowledge_base_id}", base_id)
    address = address.replace("{conversation_id:path}", TALK)
    body = {"json": BODIES.get(name, {})} if method != "GET" and name != "POST /files" else {}
    content: dict[str, Any] = {"content": b"x"} if name == "POST /files" else body
    if name == "PUT /agents/{agent_id}":
        content = {"json": {"id": target, "name": target, "unique_name": target}}
    query = {"follow": "false"} if path.endswith("/events") else None
    cell = f"{holder.name}: {method} {address} of {target}"
    content["headers"] = holder.headers
    status, text = await status_of(world.client, method, address, params=query, **content)
    differences = list[str]()
    wanted = expected(rule, holder, target)
    if wanted is None:
        if status in (401, 403, 500) or (status == 404 and target == MINE and _names(rule, holder)):
            differences.append(f"{cell}: {status}, not let through: {text[:200]}")
        if holder.is_narrow and SECRET_TEXT in text:
            differences.append(f"{cell}: shows what is out of reach")
    elif status != wanted and not (wanted == 409 and status == 404) and not _is_worker(rule, holder):
        differences.append(f"{cell}: {status} instead of {wanted}: {text[:200]}")
    if rule.needs_key and target == MINE and holder.role is not None:  # the same under another organization's address
        other, _ = await status_of(world.client, method, f"/{OTHER}{address}", **content)
        differences += [] if other == 404 else [f"{cell}, under /{OTHER}: {other} instead of 404"]
    return differences


def _names(rule: AccessRule, holder: Holder) -> bool:
    """Whether a request of this role names a task of its own, which is there."""
    return holder.role is not None and rule.scopes.get(holder.role) in (AccessScope.Task, AccessScope.KnowledgeBase)


def _is_worker(rule: AccessRule, holder: Holder) -> bool:
    """Whether it names a worker, which is nobody's here."""
    return holder.role is not None and rule.scopes.get(holder.role) is AccessScope.Worker


async def test_every_verb_needs_its_role(world: World) -> None:
    before = world.others()
    differences: list[str] = []
    for holder in world.holders:
        for name, rule in VERBS.items():
            for target in targets(holder):
                run = {"task_id": world.tasks[target], "attempt": 1}
                named = {"delivery": {**run, "subscription_id": 1, "number": 1, "claim": 1}}
                card = {"card": {"id": f"w-{holder.name.replace(' ', '-')}-{target}", "name": "w", "agents": [target]}}
                verb = {"verb": name, **run, **named, **card, **more(name)}
                outcome = await world.ask(holder, verb, worker="w-of-nobody" if name != "register" else None)
                status = outcome.get("error", {}).get("status_code")
                wanted = _of_verb(name, rule, holder, target)
                if status not in wanted:
                    differences.append(f"{holder.name}: {name} of {target}: {status}, not {wanted}: {outcome}")
    assert not differences, shown(differences)
    assert world.others() == before


def _of_verb(name: str, rule: AccessRule, holder: Holder, target: str) -> tuple[int | None, ...]:
    """What a verb may answer to somebody who has claimed nothing."""
    if holder.role is None:
        return (401,)
    scope = rule.scopes.get(holder.role)
    if scope is None:
        return (403,)
    if name == "lost" or scope is AccessScope.Organization:
        return (None,)
    if name == "register":
        return (404,) if holder.is_narrow and target != MINE else (None,)
    if scope is AccessScope.Worker:
        return (404,)
    if name == "settle" and target == FOREIGN:
        return (404, 409)  # what nobody delivered is told apart by nobody
    if target == FOREIGN or (target == THEIRS and holder.is_narrow):
        return (404,)
    return (409,)


async def test_a_worker_writes_what_its_own_session_claimed_and_nobody_else_does(world: World) -> None:
    workers = [each for each in world.with_keys() if each.role in (Role.Worker, Role.Admin)]
    for holder in workers:
        assert "value" in await world.register(holder)
        await world.claim(holder, len(RUN_VERBS))
        assert len(holder.claims) == len(RUN_VERBS)
        assert holder.deliveries
    differences: list[str] = []
    for holder in workers:
        for name, (task_id, attempt) in zip(RUN_VERBS, holder.claims, strict=True):
            verb = {"verb": name, "task_id": task_id, "attempt": attempt, **more(name)}
            differences += await _others(world, holder, workers, verb)
            outcome = await world.ask(holder, verb)
            if "error" in outcome:
                differences.append(f"{holder.name}: {name} of its own: {outcome}")
        store = {"verb": "store_document", "task_id": holder.claims[0][0], "attempt": holder.claims[0][1]}
        differences += await _others(world, holder, workers, {**store, **MORE["store_document"]})
        delivery = holder.deliveries[0]
        named = {
            "subscription_id": delivery["subscription_id"],
            "task_id": delivery["task"]["id"],
            "number": delivery["event"]["number"],
            "claim": delivery["claim"],
        }
        settle = {"verb": "settle", "delivery": named}
        differences += await _others(world, holder, workers, settle)
        if "error" in (outcome := await world.ask(holder, settle)):
            differences.append(f"{holder.name}: settle of its own: {outcome}")
    assert not differences, shown(differences)


async def _others(world: World, owner: Holder, workers: list[Holder], verb: dict[str, Any]) -> list[str]:
    """A verb about what a worker claimed, by everybody else, also in that worker's name."""
    same_key = Holder("the same key in another process", owner.role, owner.is_narrow, dict(owner.headers))
    same_key.headers["x-worker-session"] = "another secret"
    without = Holder("the same key without a session", owner.role, owner.is_narrow, dict(owner.headers))
    del without.headers["x-worker-session"]
    found: list[str] = []
    for other in [*(each for each in workers if each is not owner), same_key, without]:
        for worker in (other.worker, owner.worker, None):
            outcome = await world.ask(other, verb, worker=worker)
            if outcome.get("error", {}).get("status_code") not in (404, 409):
                found.append(f"{other.name} as {worker}: {verb['verb']} of {owner.name}'s: {outcome}")
    return found


async def test_a_worker_is_its_own_sessions(world: World) -> None:
    workers = [each for each in world.with_keys() if each.role in (Role.Worker, Role.Admin)]
    for holder in workers:
        await world.register(holder)
    mails = {"limit": 1, "seconds": 0, "held": []}
    asked = [
        {"verb": "assignments", "demand": {"total": 1, "agents": {MINE: 1}}, "seconds": 0, "held": []},
        {"verb": "deliveries", **mails},
        {"verb": "renew"},
        {"verb": "report", "memory": 1, "runs": 1},
        {"verb": "drain"},
        {"verb": "leave"},
    ]
    for owner in workers:
        thief = Holder("the same key in another process", owner.role, owner.is_narrow, dict(owner.headers))
        thief.headers["x-worker-session"] = "another secret"
        for other in [*(each for each in workers if each is not owner), thief]:
            for verb in asked:
                outcome = await world.ask(other, verb, worker=owner.worker)
                assert outcome.get("error", {}).get("status_code") == 404, (owner.name, other.name, verb, outcome)
            card = {"id": owner.worker, "name": "taken", "agents": [MINE]}
            outcome = await world.ask(other, {"verb": "register", "card": card}, worker=None)
            assert outcome.get("error", {}).get("status_code") == 409, (owner.name, other.name, outcome)
            path = f"/events/-?native=1&worker_id={owner.worker}"
            opened, _ = await status_of(world.client, "GET", path, headers=other.headers)
            beat = {"event": "worker-heartbeat"}
            report = await world.client.post(f"/events/{owner.worker}", json=beat, headers=other.headers)
            assert (opened, report.status_code) == (404, 404), (owner.name, other.name)
        assert "value" in await world.register(owner)  # itself comes back


async def test_a_claim_is_what_lets_a_worker_change_its_task_by_the_bare_protocol(world: World) -> None:
    worker = next(each for each in world.with_keys() if each.role is Role.Worker and not each.is_narrow)
    client_of = next(each for each in world.with_keys() if each.role is Role.Client)
    await world.register(worker)
    await world.claim(worker, 1)
    ((task_id, attempt),) = worker.claims
    for holder, wanted in ((worker, 200), (client_of, 409)):
        headers, path = {**holder.headers, "x-attempt": str(attempt)}, f"/agent-execution/{task_id}"
        pushed = [{"type": "chunk", "data": "x"}]
        answers = [
            await world.client.patch(f"{path}/update", json={"title": "t"}, headers=headers),
            await world.client.post(f"{path}/events/push", json=pushed, headers=headers),
        ]
        assert [each.status_code for each in answers] == [wanted, wanted], holder.name


async def test_every_page(world: World, serving: Serving) -> None:
    before = world.others()
    differences: list[str] = []
    for holder in world.holders:
        async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
            browser = Browser(client)
            entered = await signed_in(browser, holder)
            assert entered == (401 if holder.role is None else 303)
            await client.get("/ui/sign-in")
            for name, rule in PAGES.items():
                for target in targets(holder):
                    differences += await _page(world, browser, Case(holder, name, rule, target))
    assert not differences, shown(differences)
    assert world.others() == before


async def _page(world: World, browser: Browser, case: Case) -> list[str]:
    holder, name, rule, target = case.holder, case.name, case.rule, case.target
    method, _, path = name.partition(" ")
    if name in ("POST /ui/sign-out", "POST /ui/sign-in"):
        return []
    if method == "POST":
        await browser.look("/ui/sign-in")  # for its token
    task_id = await world.create(MINE) if method == "POST" and target == MINE else world.tasks[target]
    address = path.replace("{task_id}", task_id).replace("{number:int}", "0").replace("{rest:path}", "nowhere")
    address = address.replace("{knowledge_base_id}", world.bases[target]).replace("{conversation_id:path}", TALK)
    address = "/ui/static/icon.svg" if path == "/ui/static" else address
    form = {"token": browser.token, "task": task_id, "agent": target, "text": "x", "delivery": "1.1." + task_id}
    options: dict[str, Any] = {"data": form} if method == "POST" else {"params": {"from": ""}}
    status, text = await status_of(browser.client, method, address, **options)
    wanted = expected(rule, holder, target)
    cell = f"{holder.name}: {method} {address} of {target}"
    if wanted == 401:
        return [] if status == 303 else [f"{cell}: {status}, not sent to sign in"]
    if wanted is not None:
        told = wanted != 403 or "This request requires a key" in text
        return [] if status == wanted and told else [f"{cell}: {status} instead of {wanted}"]
    found: list[str] = []
    if status in (401, 403, 500):
        found.append(f"{cell}: {status}, not let through")
    if holder.is_narrow and SECRET_TEXT in text:
        found.append(f"{cell}: shows what is out of reach")
    if rule.needs_key and path.startswith("/ui/") and target == MINE:
        other, _ = await status_of(browser.client, method, f"/{OTHER}{address}", **options)
        if other != 404:
            found.append(f"{cell}, under /{OTHER}: {other} instead of 404")
    return found


def test_the_table_is_no_wider_than_the_roles_say() -> None:
    for name, rule in {**ROUTES, **VERBS, **PAGES}.items():
        if not rule.needs_key:
            continue
        assert Role.Admin in rule.scopes, name
        writes = name in VERBS or not name.startswith("GET ")
        if Role.Viewer in rule.scopes and writes:
            assert re.fullmatch(r"POST /(metadata/api_key_allowance|work)", name), name
    assert ORGANIZATION != OTHER
