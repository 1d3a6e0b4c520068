"""Every page, as it is when there is nothing and when there is something."""

import pytest

from tests.dashboard.browsing import Browser
from tests.server.serving import Serving

PAGES = ("/", "/ui", "/ui/new", "/ui/workers", "/ui/agents", "/ui/knowledge", "/ui/dead", "/ui/deliveries", "/ui/live")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_there_when_there_is_nothing_to_show(browser: Browser, path: str) -> None:
    await browser.look(path)


async def test_what_is_no_page_is_said_to_be_none(browser: Browser) -> None:
    assert "This page does not exist." in await browser.look("/ui/nowhere", 404)
    assert "There is no task" in await browser.look("/ui/tasks/unknown", 404)
    assert "There is no task" in await browser.look("/ui/tasks/%00%2F", 404)


async def test_a_task_is_made_and_shown(serving: Serving, browser: Browser) -> None:
    await browser.look("/ui/new")
    files = {"files": ("a note.txt", b"the words", "text/plain")}
    made = await browser.send("/ui/new", {"agent": "analyst", "text": "Summarise it."}, files=files)
    assert made.status_code == 303, made.text
    page = await browser.look(made.headers["location"])
    for each in ("Summarise it.", "a note.txt", "the words", "analyst", "pending", "Stop"):
        assert each in page
    assert "Summarise it." in await browser.look("/")
