"""Every page in light and dark, wide and narrow: pictures for people, and axe-core, which finds nothing serious."""

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.worlds import World, picture
from tests.support import wait_until
from worker.face.ingesting import ingest_here
from worker.words.knowledge import NewKnowledgeBase
from worker.words.statuses import TERMINAL

WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {**WIDE, "color_scheme": "light"},
    "dark-phone": {**PHONE, "color_scheme": "dark"},
}


async def settle(world: World) -> str:
    """Tasks of every kind. Returns: the id of one that is done."""
    world.says.set()
    text = "Summarise the figures of the quarter, and say what grew fastest."
    done = await world.create(text, title="Quarterly report")
    ended = [done, await world.create("What is in the chart?")]
    dead = await world.create("Pick it up.", agent="nobody")
    await world.engine.tasks.update(dead, {"status": "error", "result": "ValueError: I dropped it"})

    async def over() -> bool:
        return all([(await world.engine.tasks.get(each)).status in TERMINAL for each in ended])

    await wait_until(over, "the tasks are over", 30)
    world.says.clear()
    await world.create("Compare the regions, region by region, in one table.", input_user="u-17")
    await world.create("Wait for somebody", agent="nobody")
    await world.engine.tasks.update(done, {"internal_status": "sent to the board"})
    await world.engine.tasks.stop(await world.create("No longer needed", agent="nobody"))
    return done


async def knowledge(world: World) -> str:
    """A knowledge base with a document that was read, and one that could not be. Returns: its id."""
    new = NewKnowledgeBase(name="Handbook of the house", description="What everybody here should know.")
    base = await world.engine.knowledge.create(new)
    food = b"# Handbook\n\n## Food\n\nSoup is served at noon, in the hall beside the garden."
    files = [("handbook.md", food), ("scan-of-the-old-contract-with-a-long-name.txt", b"  ")]
    stored = [await world.engine.tasks.store_file(name, "text/plain", content) for name, content in files]
    added = await world.engine.knowledge.add(base.id, stored)
    await ingest_here(world.engine, str(added[0].task_id))
    return base.id


@pytest.mark.parametrize(("page", "look"), [(LOOKS[each], each) for each in LOOKS], indirect=["page"], ids=list(LOOKS))
async def test_a_page_can_be_used_by_everybody(page: Page, world: World, look: str) -> None:
    done = await settle(world)
    running = next(each.id for each in await world.items() if each.status == "executing")
    pages = {
        "tasks": "/",
        "filtered": "/?text=nothing+of+the+kind",
        "task": f"/ui/tasks/{done}",
        "running": f"/ui/tasks/{running}",
        "new": f"/ui/new?from={done}",
        "workers": "/ui/workers",
        "agents": "/ui/agents",
        "knowledge": "/ui/knowledge",
        "knowledge-base": f"/ui/knowledge/{await knowledge(world)}?question=when+is+soup+served",
        "dead": "/ui/dead",
        "deliveries": "/ui/deliveries",
        "keys": "/ui/keys",
        "audit": "/ui/audit",
        "nowhere": "/ui/nowhere",
    }
    serious: dict[str, Any] = {}
    for name, path in pages.items():
        await page.goto(path)
        await expect(page.locator("main")).to_be_visible()
        await picture(page, f"{name}-{look}")
        wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide, f"{name} is wider than the window"
        found = (await Axe().run(page)).response["violations"]
        bad = [each for each in found if each["impact"] in ("serious", "critical")]
        if bad:
            serious[name] = [(each["id"], [node["html"][:200] for node in each["nodes"]][:5]) for each in bad]
    assert serious == {}


async def test_a_list_can_be_walked_by_keyboard(page: Page, world: World) -> None:
    task_id = await world.create(agent="nobody")
    await page.goto("/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to content")).to_be_focused()
    await page.locator(f"#t-{task_id}").focus()
    await world.create("another", agent="nobody")
    await expect(page.locator(".items > li")).to_have_count(2)  # the list was exchanged meanwhile
    await expect(page.locator(f"#t-{task_id}")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{world.serving.base}/ui/tasks/{task_id}")
