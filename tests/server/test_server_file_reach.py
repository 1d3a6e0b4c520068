"""Stored files, by a key of some agents: what it uploaded and what their tasks have, and no sign of any other."""

import hashlib
import json
import re
from typing import Any

import httpx
import pytest

from tests.contract.steps import claim, create, worker
from worker.engine.engine import Engine
from worker.words.ids import new_id
from worker.words.roles import Role
from worker.words.work import JournalEntry

THEIRS = b"what another agent's task was given"
SHA256 = hashlib.sha256(THEIRS).hexdigest()
REFERENCE = f"worker:{SHA256}/f"
ABSENT = f"worker:{'0' * 64}/f"


@pytest.fixture
async def narrow(engine: Engine) -> dict[str, str]:
    text, _ = await engine.keys.create("default", role=Role.Admin, agents=["mine"])
    return {"x-api-key": text, "x-worker-session": "s"}


async def uploaded(client: httpx.AsyncClient, content: bytes, headers: dict[str, str] | None = None) -> str:
    answer = await client.post("/files", params={"name": "f"}, content=content, headers=headers)
    return answer.raise_for_status().json()["reference"]


async def fetched(client: httpx.AsyncClient, reference: str, headers: dict[str, str]) -> int:
    return (await client.get(f"/files/{reference[7:]}", headers=headers)).status_code


async def test_anothers_file_is_as_if_it_were_not_there(client: httpx.AsyncClient, narrow: dict[str, str]) -> None:
    await uploaded(client, THEIRS)
    given = {"input": {"text": "x", "files": [REFERENCE]}}
    (await client.post("/agent-execution/theirs", json=given)).raise_for_status()
    for reference in (REFERENCE, ABSENT):
        assert await fetched(client, reference, narrow) == 404
        wish = {"input": {"text": "x", "files": [reference]}}
        refused = await client.post("/agent-execution/mine", json=wish, headers=narrow)
        assert (refused.status_code, refused.json()["kind"]) == (404, "FileNotStored")
        report = {**wish, "result": "r"}
        refused = await client.post("/agent-execution/mine/report_task", json=report, headers=narrow)
        assert (refused.status_code, refused.json()["kind"]) == (404, "FileNotStored")
    assert (await client.get("/agent-execution/executions/history", headers=narrow)).json() == []


async def test_whoever_uploads_it_too_has_it(client: httpx.AsyncClient, narrow: dict[str, str], engine: Engine) -> None:
    reference = await uploaded(client, THEIRS)
    assert await fetched(client, reference, narrow) == 404
    assert await uploaded(client, THEIRS, narrow) == reference
    assert await fetched(client, reference, narrow) == 200
    other, _ = await engine.keys.create("default", role=Role.Admin, agents=["mine"])
    assert await fetched(client, reference, {"x-api-key": other}) == 404
    given = {"input": {"text": "x", "files": [reference]}}
    assert (await client.post("/agent-execution/mine", json=given, headers=narrow)).status_code == 200
    assert await fetched(client, reference, {"x-api-key": other}) == 200  # it is a file of an agent of its own now


async def test_a_worker_claims_no_file_by_its_digest(client: httpx.AsyncClient, narrow: dict[str, str]) -> None:
    await uploaded(client, THEIRS)
    card = {"id": "w", "name": "w", "agents": ["mine"], "lease_seconds": 600}

    async def asked(verb: dict[str, object], worker_id: str | None = "w") -> dict[str, object]:
        body = {"worker_id": worker_id, "verbs": [verb]}
        return (await client.post("/work", json=body, headers=narrow)).json()["results"][0]

    await asked({"verb": "register", "card": card}, None)
    await client.post("/agent-execution/mine", json={"input": {"text": "x"}})
    claimed = await asked({"verb": "assignments", "demand": {"total": 1, "agents": {"mine": 1}}, "seconds": 5})
    run = {"task_id": claimed["value"][0]["task"]["id"], "attempt": 1}  # type: ignore[index]
    kept = {"url_digest": "1" * 64, "reference": REFERENCE}
    child = {"child_id": new_id(), "input": {"text": "x", "files": [REFERENCE]}}
    for verb in (
        {"verb": "emit", "journal": [["k", "null", REFERENCE]]},
        {"verb": "keep_files", "files": [kept]},
        {"verb": "save_artifacts", "artifacts": [{"name": "f", "url": REFERENCE, "sha256": SHA256}]},
        {"verb": "make_children", "children": [{**child, "agent_id": "mine"}]},
        {"verb": "save", "changes": {}, "files": {"result": REFERENCE}},
        {"verb": "finish", "outcome": {"status": "completed", "files": {"result": REFERENCE}}},
    ):
        outcome = await asked({**verb, **run})
        assert "FileNotStored" in json.dumps(outcome), outcome
    children = [{**child, "agent_id": "theirs"}]
    assert "AgentNotFound" in json.dumps(await asked({"verb": "make_children", "children": children, **run}))
    assert await fetched(client, REFERENCE, narrow) == 404


async def test_large_values_of_its_agents_journals_are_within_reach(
    client: httpx.AsyncClient, narrow: dict[str, str], engine: Engine
) -> None:
    large = json.dumps("x" * 300_000)
    references: dict[str, str] = {}
    for agent in ("mine", "theirs"):
        by = await worker(engine, agent)
        task = await create(engine, agent=agent)
        (held,) = await claim(engine, by)
        await engine.work.emit(task.id, held.attempt, [], [JournalEntry("k", large.replace("x", agent[0]))])
        references[agent] = f"{(await engine.work.entries(task.id))[0].reference}/f"
    assert await fetched(client, references["mine"], narrow) == 200
    assert await fetched(client, references["theirs"], narrow) == 404


async def test_a_record_that_merely_mentions_a_file_holds_no_link_to_it(
    client: httpx.AsyncClient, narrow: dict[str, str]
) -> None:
    await uploaded(client, THEIRS)
    own = await uploaded(client, b"mine", narrow)
    mentioned: dict[str, Any] = {
        "files": [REFERENCE],
        "attachments": [{"url": REFERENCE}],
        "artifacts": [{"name": "f", "url": REFERENCE}],
        "input": {"files": [REFERENCE]},
    }
    given = {"text": "x", "files": [own], "more": mentioned, "artifacts": mentioned["artifacts"]}
    fields = ("output_schema", "metadata", "payload_extension")
    wish = {"input": given, "run_locally": True, "mcp_servers": [mentioned], **dict.fromkeys(fields, mentioned)}
    told = [await client.post("/agent-execution/mine", json=wish, headers=narrow)]
    path = f"/agent-execution/{told[0].raise_for_status().json()['id']}"
    types = ("chunk", "think", "tool_call_request", "tool_call_result", "sub_agent_trigger", "task_updated", "note")
    pushed = [{"type": each, "data": {"agent_id": "a", **mentioned}} for each in types]
    (await client.post(f"{path}/events/push", json=pushed, headers=narrow)).raise_for_status()
    for name in ("result", "artifacts", "hitl_request", "input", "used_tools", *fields):
        change = {name: mentioned.get(name, mentioned)}
        told.append(await client.patch(f"{path}/update", json=change, headers=narrow))
    told.append(await client.get(f"{path}/status", headers=narrow))
    told.append(await client.get(f"/activity/mine/{path.rpartition('/')[2]}", headers=narrow))
    told.append(await client.delete(path, headers=narrow))
    told.append(await client.get(f"{path}/events", headers=narrow))
    signed = [set(re.findall(r"/files/([0-9a-f]{64})", each.text)) for each in told]
    assert set[str]().union(*signed) == {own[7:71]}
    assert SHA256 in told[-1].text, "they were mentioned"
