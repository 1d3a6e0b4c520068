"""Which organization an address names, where its name is also the first segment of one of our routes."""

from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.conftest import Start
from worker.contracts import RESERVED_ORGANIZATIONS
from worker.engine.engine import Engine
from worker.server.app import create_app
from worker.server.limits.request_bounds import CONTROLLER, ROOTS
from worker.server.main import serve
from worker.settings import Settings
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.roles import Role

Route = tuple[str, list[str]]
OURS = {"docs", "openapi.json"}  # no routes of the API
PAGES = "ui"


@cache
def routes() -> list[Route]:
    """Every route of the API: its method, the segments of its path."""
    document: dict[str, Any] = create_app(Engine("postgresql://nowhere"), Settings()).openapi()
    return [(method, path.split("/")[1:]) for path, methods in document["paths"].items() for method in methods]


def unclear(organization: str) -> bool:
    """Whether an address under this organization could be a route as it stands."""
    return any(
        method == bare_method and could_be([organization, *segments], bare)
        for method, segments in routes()
        for bare_method, bare in routes()
    )


def could_be(one: list[str], other: list[str]) -> bool:
    """Whether some address has both forms."""
    for first, second in zip_longest(one, other):
        if any(each and each.endswith(":path}") for each in (first, second)):
            return True
        if first is None or second is None:
            return False
        if first != second and "{" not in first and "{" not in second:
            return False
    return True


def test_the_roots_are_the_first_segments_of_all_routes() -> None:
    assert {segments[0] for _, segments in routes()} | OURS | {PAGES, "metrics"} == ROOTS


def test_what_is_reserved_is_what_cannot_be_told_apart() -> None:
    assert {root for root in ROOTS if unclear(root)} | {CONTROLLER, PAGES} == RESERVED_ORGANIZATIONS


@pytest.mark.parametrize("organization", sorted(RESERVED_ORGANIZATIONS))
async def test_a_reserved_name_gets_no_key(engine: Engine, organization: str) -> None:
    with pytest.raises(ValidationError, match=f"'{organization}' is reserved") as refused:
        await engine.keys.create(organization)
    assert refused.value.field == "organization"
    assert await engine.keys.list() == []


def test_a_server_of_a_reserved_organization_does_not_start(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPANDER_ORGANIZATION_ID", "agents")
    with pytest.raises(ConfigurationError, match="XPANDER_ORGANIZATION_ID: 'agents' is reserved"):
        serve(Settings())


@pytest.mark.parametrize("organization", ["workers", "work", "health", "metadata", "docs", "ready", "acme"])
async def test_an_organization_named_like_a_route_is_served_and_so_is_the_route(
    start: Start, engine: Engine, organization: str
) -> None:
    key, _ = await engine.keys.create(organization, role=Role.Admin)
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": key}, timeout=30) as client:
        for prefix in (f"/{organization}", f"/{CONTROLLER}/{organization}", ""):
            made = await client.post(f"{prefix}/agent-execution/a/", json={"input": {"text": "x"}})
            assert made.json()["organization_id"] == organization, made.text
            task = f"{prefix}/agent-execution/{made.json()['id']}"
            assert (await client.get(f"{task}/status")).status_code == 200
            assert (await client.get(f"{prefix}/agents/list")).status_code == 200
            assert (await client.get(f"{prefix}/workers/")).json() == {"workers": []}
            assert (await client.get(f"{prefix}/metadata/default_llm_extra_headers")).json() == {}
            assert (await client.get(f"{prefix}/health")).json() == {"status": "alive"}
            lost = {"verbs": [{"verb": "lost", "held": {}}]}
            assert (await client.post(f"{prefix}/work", json=lost)).json()["results"] == [{"value": {}}]
            assert (await client.get(f"{prefix}/unheard/of")).status_code == 404


async def test_what_is_a_route_as_it_stands_names_no_organization(client: httpx.AsyncClient) -> None:
    for agent in ("files", "workers", "health"):  # their addresses read as those of an organization named `agents`
        record = {"id": agent, "name": agent, "unique_name": agent}
        assert (await client.put(f"/agents/{agent}", json=record)).json()["organization_id"] == "default"
        assert (await client.get(f"/agents/{agent}")).json()["id"] == agent
    task = (await client.post("/agent-execution/workers", json={"input": {"text": "x"}})).json()
    activity = await client.get(f"/activity/workers/{task['id']}")
    assert activity.json()["id"] == task["id"]
