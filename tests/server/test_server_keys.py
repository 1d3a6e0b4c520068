"""Keys made, listed and revoked over HTTP and on their page; wrong ones, tried too often."""

import html
import re

import httpx
import pytest

from tests.dashboard.browsing import Browser
from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.audit import AuditQuery
from worker.words.roles import Role


async def test_an_admin_makes_lists_and_revokes_keys(client: httpx.AsyncClient, engine: Engine) -> None:
    wish = {"name": "ci", "role": "worker", "agents": ["mine"], "expires_in": 3600}
    made = (await client.post("/keys", json=wish)).json()
    assert (made["name"], made["role"], made["agents"]) == ("ci", "worker", ["mine"])
    assert (await client.get("/workers", headers={"x-api-key": made["key"]})).status_code == 200
    (listed,) = (await client.get("/keys")).json()
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in str(await engine.keys.list())
    revoked = (await client.post(f"/keys/{made['id']}/revoke")).json()
    assert revoked["revoked_at"]
    assert (await client.get("/workers", headers={"x-api-key": made["key"]})).status_code == 401


async def test_a_key_is_a_clients_unless_somebody_says_otherwise(client: httpx.AsyncClient) -> None:
    assert (await client.post("/keys", json={})).json()["role"] == "client"


@pytest.mark.parametrize(
    "wish",
    [{"role": "root"}, {"agents": ["no id"]}, {"expires_in": 0}, {"expires_in": 1e300}, {"name": "x" * 201}],
)
async def test_what_does_not_fit_makes_no_key(client: httpx.AsyncClient, wish: dict[str, object]) -> None:
    assert (await client.post("/keys", json=wish)).status_code == 422
    assert (await client.get("/keys")).json() == []


async def test_an_admin_of_some_agents_makes_no_key_for_others(client: httpx.AsyncClient, engine: Engine) -> None:
    narrow, own = await engine.keys.create("default", role=Role.Admin, agents=["mine", "ours"])
    _, broad = await engine.keys.create("default", role=Role.Viewer)
    _, foreign = await engine.keys.create("strangers", role=Role.Admin)
    by = {"x-api-key": narrow}
    for agents in (None, [], ["theirs"], ["mine", "theirs"]):
        assert (await client.post("/keys", json={"agents": agents}, headers=by)).status_code == 422
    made = (await client.post("/keys", json={"agents": ["mine"], "role": "admin"}, headers=by)).json()
    listed = (await client.get("/keys", headers=by)).json()
    assert {each["id"] for each in listed} == {own.id, made["id"]}
    for key in (broad, foreign):
        assert (await client.post(f"/keys/{key.id}/revoke", headers=by)).status_code == 404
    assert (await client.post(f"/keys/{foreign.id}/revoke")).status_code == 404
    assert (await client.post(f"/keys/{made['id']}/revoke", headers=by)).status_code == 200


async def test_keys_on_their_page(serving: Serving, client: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as stream_client:
        browser = Browser(stream_client)
        await browser.sign_in(KEY)
        await browser.look("/ui/keys")
        wrong = await browser.send("/ui/keys", {"name": "<b>ci</b>", "role": "root"})
        assert (wrong.status_code, "the role must be one of" in wrong.text) == (422, True)
        assert "<b>ci</b>" not in wrong.text
        assert (await browser.send("/ui/keys", {"role": "client", "days": "0"})).status_code == 422
        made = await browser.send("/ui/keys", {"name": "ci", "role": "viewer", "agents": "mine, ours", "days": "30"})
        text = html.unescape((re.search(r">(wk_[^<]+)<", made.text) or ["", ""])[1])
        assert (await client.get("/workers", headers={"x-api-key": text})).status_code == 200
        page = await browser.look("/ui/keys")
        assert text not in page
        (key,) = (await client.get("/keys")).json()
        assert (key["role"], key["agents"]) == ("viewer", ["mine", "ours"])
        assert (await browser.send(f"/ui/keys/{key['id']}/revoke")).status_code == 303
        assert (await client.get("/workers", headers={"x-api-key": text})).status_code == 401


async def test_too_many_wrong_keys_are_not_looked_at(start: Start, engine: Engine) -> None:
    serving = await start(key=KEY, wrong_keys=5)
    right, _ = await engine.keys.create("default")
    late, _ = await engine.keys.create("default")
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:

        async def asked(key: str) -> int:
            return (await client.get("/workers", headers={"x-api-key": key})).status_code

        assert await asked(right) == 200
        assert [await asked("kept from yesterday") for _ in range(9)] == [401] * 9  # nobody guesses by repeating
        assert [await asked(f"wrong {number}") for number in range(6)] == [401] * 4 + [429] * 2
        assert await asked(late) == 429  # it could be a guess
        refused = await client.get("/workers", headers={"x-api-key": "wrong"})
        assert int(refused.headers["retry-after"]) >= 1
        assert await asked(right) == 200  # who was let in before stays in
        assert await asked("kept from yesterday") == 401
        assert (await client.get("/health")).status_code == 200
        browser = Browser(client)
        signed_in = await browser.sign_in("yet another")
        assert (signed_in.status_code, "Too many wrong keys" in signed_in.text) == (429, True)


async def test_a_key_in_a_body_is_a_guess_like_one_in_a_header(start: Start, engine: Engine) -> None:
    serving = await start(key=KEY, wrong_keys=5)
    right, _ = await engine.keys.create("default", role=Role.Viewer)
    late, _ = await engine.keys.create("default")
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": right}, timeout=30) as client:

        async def asked(key: str) -> int:
            return (await client.post("/metadata/api_key_allowance", json={"api_key": key})).status_code

        assert [await asked(f"wrong {number}") for number in range(7)] == [200] * 5 + [429] * 2
        assert await asked(late) == 429
        assert await asked(right) == 200

        async def is_written() -> bool:
            return any(each.action == "refused" for each in await engine.tasks.audit(AuditQuery()))

        await wait_until(is_written, "the audit log has the guess")


async def test_wrong_keys_are_counted_for_all_server_processes(start: Start, engine: Engine) -> None:
    servers = [await start(key=KEY, wrong_keys=4) for _ in range(3)]

    async def asked(number: int) -> int:
        async with httpx.AsyncClient(base_url=servers[number % 3].base, timeout=30) as client:
            return (await client.get("/workers", headers={"x-api-key": f"wrong {number}"})).status_code

    assert [await asked(number) for number in range(12)].count(401) <= 4 + 2
    assert await engine.keys.guessed("198.51.100.1", 60) == 1
    assert await engine.keys.guessed("198.51.100.1", 60_000_000) == 1  # all that was spent is given back at that rate


async def test_the_servers_own_key_is_no_exception_for_a_guesser(start: Start) -> None:
    serving = await start(key=KEY, wrong_keys=2)
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        for number in range(2):
            await client.get("/workers", headers={"x-api-key": f"wrong {number}"})
        assert (await client.get("/workers", headers={"x-api-key": KEY})).status_code == 429


async def test_whoever_names_another_address_is_still_the_one_the_router_saw(
    start: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    serving = await start(key=KEY, wrong_keys=2)
    async with httpx.AsyncClient(base_url=serving.base, timeout=30) as client:
        statuses: list[int] = []
        for number in range(3):
            headers = {"x-api-key": f"wrong {number}", "x-forwarded-for": f"198.51.100.{number}, 203.0.113.7"}
            statuses.append((await client.get("/workers", headers=headers)).status_code)
        assert statuses == [401, 401, 429]
        other = {"x-api-key": "wrong", "x-forwarded-for": "203.0.113.8"}
        assert (await client.get("/workers", headers=other)).status_code == 401

    async def noted() -> set[str]:
        return {each.address for each in await engine.tasks.audit(AuditQuery())}

    async def both() -> bool:
        return await noted() == {"203.0.113.7", "203.0.113.8"}

    await wait_until(both, "both addresses are in the audit log")
