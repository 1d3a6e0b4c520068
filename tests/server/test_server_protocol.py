"""The documented protocol as a script, in async and sync form, with a client that knows nothing of us."""

from typing import Any

import httpx
import pytest

from tests.server.serving import aevents_in, events_in


async def test_the_documented_protocol_in_async_form(client: httpx.AsyncClient) -> None:
    made = await client.post("/agent-execution/analyst", json=creation("grow"))
    assert made.status_code == 200, made.text
    assert made.headers["content-type"] == "application/json"
    task = made.json()
    assert {"id", "agent_id", "organization_id", "input", "created_at"} <= task.keys()
    assert (task["agent_id"], task["status"], task["source"]) == ("analyst", "pending", "sdk")
    assert (await client.get(f"/agent-execution/{task['id']}/status")).json() == task
    saved = await client.patch(f"/agent-execution/{task['id']}/update", json={**task, "internal_status": "looked at"})
    assert saved.json()["internal_status"] == "looked at"
    for query in ({"internal_status": "looked at"}, {"status": "pending"}, {"user_id": "u1"}, {}):
        items = (await client.get("/agent-execution/executions/history/analyst", params=query)).json()
        assert [item["id"] for item in items] == [task["id"]], query
    assert (await client.get("/agent-execution/executions/history/analyst?status=completed")).json() == []
    items = (await client.get("/agent-execution/executions/history/user/u1")).json()
    assert [item["id"] for item in items] == [task["id"]]
    pushed = [{"type": "think", "task_id": task["id"], "data": {"title": "hm"}}, {"type": "unheard_of", "data": 1}]
    assert (await client.post(f"/agent-execution/{task['id']}/events/push", json=pushed)).json() == {"kept": 1}
    assert (await client.delete(f"/agent-execution/{task['id']}")).json()["status"] == "stopped"
    async with client.stream("GET", f"/default/agent-execution/{task['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [event async for event in aevents_in(response)]
    check_events(events)
    resumed = f"/agent-execution/{task['id']}/events"
    async with client.stream("GET", resumed, headers={"Last-Event-ID": "2"}) as response:
        assert [event["id"] async for event in aevents_in(response) if "id" in event] == ["3", "4"]
    async with client.stream("GET", f"{resumed}?after=3") as response:
        assert [event["id"] async for event in aevents_in(response) if "id" in event] == ["4"]
    activity = (await client.get(f"/activity/analyst/{task['id']}")).json()
    assert [message.get("role") or message["type"] for message in activity["messages"]] == ["user", "think"]
    reported = await client.post("/agent-execution/analyst/report_task", json=report())
    assert (reported.json()["status"], reported.json()["result"]) == ("completed", '{"answer":42}')
    assert reported.json()["tokens"]["prompt_tokens"] == 7
    metrics: dict[str, Any] = {"execution_id": task["id"], "source": "sdk", "llm_tokens": {"inner": {}, "worker": {}}}
    assert (await client.post("/agents-metrics/analyst/execution", json=metrics)).status_code == 200


def test_the_documented_protocol_in_sync_form(sync_client: httpx.Client) -> None:
    task = sync_client.post("/agent-execution/analyst/", json=creation("grow")).json()
    assert sync_client.get(f"/agent-execution/{task['id']}/status/").json() == task
    saved = sync_client.patch(f"/agent-execution/{task['id']}/update", json={**task, "internal_status": "looked at"})
    assert saved.json()["internal_status"] == "looked at"
    pushed = [{"type": "think", "data": {"title": "hm"}}]
    assert sync_client.post(f"/agent-execution/{task['id']}/events/push", json=pushed).status_code == 200
    assert sync_client.delete(f"/agent-execution/{task['id']}").json()["status"] == "stopped"
    with sync_client.stream("GET", f"/default/agent-execution/{task['id']}/events/") as response:
        check_events(list(events_in(response.iter_lines())))
    assert sync_client.get(f"/default/activity/analyst/{task['id']}").status_code == 200
    reported = sync_client.post("/agent-execution/analyst/report_task", json=report())
    assert reported.json()["status"] == "completed"
    again = sync_client.post("/agent-execution/analyst/report_task", json={**report(), "result": "late"})
    assert again.json() == reported.json()


def creation(text: str) -> dict[str, Any]:
    """A create call as the public client sends it: every field it knows, most of them null."""
    nulls = ("id", "payload_extension", "worker_id", "output_schema", "title", "mcp_servers", "user_tokens")
    return {
        **dict.fromkeys(nulls),
        "input": {"text": text, "files": [], "user": {"id": "u1", "email": "u@example.com"}, "attachments": None},
        "source": "sdk",
        "run_locally": False,
        "output_format": "markdown",
        "events_streaming": True,
        "think_mode": "default",
        "tool_call_limit": None,
        "a_field_of_tomorrow": {"x": 1},
    }


def report() -> dict[str, Any]:
    return {
        "id": "run-done-elsewhere",
        "input": "what is it?",
        "tokens": {"inner": {}, "worker": {"prompt_tokens": 7, "completion_tokens": 1}},
        "is_success": True,
        "result": {"answer": 42},
        "duration": 1.5,
        "used_tools": ["search"],
    }


def check_events(events: list[dict[str, Any]]) -> None:
    assert events[0]["data"]["type"] == "connected"
    assert events[0]["data"]["data"] is not None
    assert "id" not in events[0]
    assert [event["id"] for event in events[1:]] == ["1", "2", "3", "4"]
    kinds = [event["data"]["type"] for event in events[1:]]
    assert kinds == ["task_created", "task_updated", "think", "task_finished"]
    assert events[-1]["data"]["data"]["status"] == "stopped"
    assert all({"type", "task_id", "organization_id", "time", "data"} <= event["data"].keys() for event in events)


@pytest.mark.parametrize("prefix", ["", "/default", "/agent-controller/default"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_address_is_served_bare_and_under_the_organization(
    client: httpx.AsyncClient, prefix: str, slash: str
) -> None:
    for path in ("/agents/list", "/workers", "/metadata/default_llm_extra_headers", "/health", "/ready"):
        answer = await client.get(f"{prefix}{path}{slash}", follow_redirects=False)
        assert answer.status_code == 200, (path, answer.text)
