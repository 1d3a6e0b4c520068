import hashlib
from urllib.parse import quote

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import AGENT, create, run, worker
from worker.contracts import Platform
from worker.words.agents import AgentRecord, Instructions
from worker.words.errors import AgentNotFound, FileNotStored, TooLarge, ValidationError


async def test_a_stored_file_comes_back_as_it_was(platform: Platform) -> None:
    content = bytes(range(256)) * 1000
    reference = await platform.tasks.store_file("a report/ü.pdf", "application/pdf", content)
    assert reference.startswith(f"worker:{hashlib.sha256(content).hexdigest()}/")
    file = await platform.tasks.open_file(reference)
    assert (file.reference, file.name, file.media_type) == (reference, "a report/ü.pdf", "application/pdf")
    assert file.content == content


async def test_the_same_content_is_stored_once_under_each_of_its_names(platform: Platform, sql: Sql) -> None:
    first = await platform.tasks.store_file("a.txt", "text/plain", b"same")
    second = await platform.tasks.store_file("b.txt", "text/plain", b"same")
    assert await platform.tasks.store_file("a.txt", "text/plain", b"same") == first
    assert (await platform.tasks.open_file(second)).name == "b.txt"
    assert await sql("select count(*) from worker.files") == [(1,)]


async def test_the_name_of_a_stored_file_looks_as_it_is(platform: Platform) -> None:
    turned = "invoice\u202efdp.exe\u200b\n\x1b"
    reference = await platform.tasks.store_file(turned, "text/plain", b"x")
    assert (await platform.tasks.open_file(reference)).name == "invoicefdp.exe"
    digest = reference.partition("/")[0]
    assert (await platform.tasks.open_file(f"{digest}/{quote(turned)}")).name == "invoicefdp.exe", "made by a client"
    assert (await platform.tasks.open_file(f"{digest}/{quote(turned[7])}")).name == digest[7:19]


@pytest.mark.parametrize(
    "reference", ["", "worker:", f"worker:{'0' * 64}/a", f"worker:{'0' * 63}", "https://a", "worker:../x", "\0\ud800"]
)
async def test_a_wrong_reference_names_no_file(platform: Platform, reference: str) -> None:
    with pytest.raises(FileNotStored):
        await platform.tasks.open_file(reference)


async def test_an_empty_file_is_refused(platform: Platform) -> None:
    with pytest.raises(ValidationError, match=r"a\.txt is empty"):
        await platform.tasks.store_file("a.txt", "text/plain", b"")


async def test_a_file_that_is_too_large_is_refused(platform: Platform, sql: Sql) -> None:
    with pytest.raises(TooLarge, match=r"a\.bin has 52428801 bytes; the maximum is 52428800"):
        await platform.tasks.store_file("a.bin", "application/octet-stream", b"x" * (50 * 1024 * 1024 + 1))
    assert await sql("select count(*) from worker.files") == [(0,)]


async def test_a_file_with_a_hostile_name_is_stored(platform: Platform) -> None:
    reference = await platform.tasks.store_file("\0\ud800.txt", "text/\0plain", b"x")
    file = await platform.tasks.open_file(reference)
    assert (file.name, file.media_type) == ("\ufffd\ufffd.txt", "text/\ufffdplain")


async def test_a_registered_workers_agents_are_announced(platform: Platform) -> None:
    await worker(platform, "beta", "alpha")
    agents = await platform.tasks.list_agents()
    assert [(agent.id, agent.name, agent.announced, agent.version) for agent in agents] == [
        ("alpha", "alpha", True, 1),
        ("beta", "beta", True, 1),
    ]
    assert await platform.tasks.get_agent("alpha") == agents[0]


async def test_an_agent_is_saved_and_changed_under_the_next_version(platform: Platform) -> None:
    record = AgentRecord(
        id="a1", name="Analyst", unique_name="analyst", instructions=Instructions(role=["r"], goal=["g"], general="x")
    )
    first = await platform.tasks.save_agent(record)
    assert first.created_at is not None
    assert first.model_dump(exclude={"created_at"}) == record.model_dump(exclude={"created_at"})
    second = await platform.tasks.save_agent(first.model_copy(update={"name": "Chief \0 analyst"}))
    assert (second.version, second.name, second.created_at) == (2, "Chief \ufffd analyst", first.created_at)
    assert await platform.tasks.list_agents() == [second]


async def test_announcing_an_agent_leaves_a_saved_one_as_it_is(platform: Platform) -> None:
    saved = await platform.tasks.save_agent(AgentRecord(id="a1", name="Analyst", unique_name="analyst"))
    await worker(platform, "a1")
    assert await platform.tasks.get_agent("a1") == saved


async def test_saving_an_announced_agent_makes_it_a_made_one(platform: Platform) -> None:
    await worker(platform, "a1")
    saved = await platform.tasks.save_agent(AgentRecord(id="a1", name="Analyst", unique_name="analyst"))
    assert (saved.announced, saved.name, saved.version) == (False, "Analyst", 2)


@pytest.mark.parametrize("agent_id", ["unknown", "\0", "\ud800", ""])
async def test_an_unknown_agent_is_not_found(platform: Platform, agent_id: str) -> None:
    with pytest.raises(AgentNotFound):
        await platform.tasks.get_agent(agent_id)


async def test_an_agent_with_an_id_of_another_form_is_refused(platform: Platform) -> None:
    with pytest.raises(ValidationError, match="id must be 1 to 128 characters"):
        await platform.tasks.save_agent(AgentRecord(id="a b", name="A", unique_name="a"))
    assert await platform.tasks.list_agents() == []


async def test_a_deleted_agent_is_gone_and_can_be_made_or_announced_anew(platform: Platform) -> None:
    saved = await platform.tasks.save_agent(AgentRecord(id="a1", name="Analyst", unique_name="analyst"))
    assert await platform.tasks.delete_agent("a1") == saved
    assert await platform.tasks.list_agents() == []
    with pytest.raises(AgentNotFound):
        await platform.tasks.delete_agent("a1")
    await worker(platform, "a1")
    assert (await platform.tasks.get_agent("a1")).announced


@pytest.mark.parametrize("agent_id", ["unknown", "\0", "\ud800", ""])
async def test_an_unknown_agent_cannot_be_deleted(platform: Platform, agent_id: str) -> None:
    with pytest.raises(AgentNotFound):
        await platform.tasks.delete_agent(agent_id)


async def test_an_agent_of_another_organization_cannot_be_deleted(
    platform: Platform, open_platform: OpenPlatform
) -> None:
    saved = await platform.tasks.save_agent(AgentRecord(id="a1", name="Analyst", unique_name="analyst"))
    with pytest.raises(AgentNotFound):
        await (await open_platform("other")).tasks.delete_agent("a1")
    assert await platform.tasks.get_agent("a1") == saved


async def test_a_task_knows_what_its_agent_says_of_the_model(platform: Platform) -> None:
    record = AgentRecord(id=AGENT, name="A", unique_name="a", model_provider="openai", model_name="gpt-5")
    await platform.tasks.save_agent(record)
    said = {"llm_model_provider": "openai", "llm_model_name": "gpt-5"}
    by, assignment = await run(platform)
    for task in (assignment.task, await platform.tasks.get(assignment.task.id)):
        assert task.llm_of_agent == said
        assert task.llm_model_name is None  # it asks for none itself: a handler's own model stays
    own = await create(platform, llm_model_name="claude-sonnet-4-6")
    assert own.llm_of_agent == {}
    await platform.tasks.save_agent(record.model_copy(update={"model_name": "gpt-5-mini"}))
    assert (await platform.tasks.get(assignment.task.id)).llm_of_agent["llm_model_name"] == "gpt-5-mini"
    assert by.agents == (AGENT,)
