"""A person at the pages: finds what waits, fills in its forms, and sees the task go on."""

from playwright.async_api import Page, expect

from tests.browser.worlds import World, picture


async def test_what_waits_is_answered_in_the_inbox_and_on_the_tasks_page(page: Page, world: World) -> None:
    task_id = await world.create("Book a train to Rome.", agent="travel")
    await page.goto(f"/ui/tasks/{task_id}")
    await expect(page.locator("#requests .request")).to_have_count(2)
    await expect(page.locator("#status .pill")).to_have_text("paused")
    await picture(page, "task-paused")
    await page.get_by_role("link", name="Inbox").click()
    await expect(page.locator(".request")).to_have_count(2)
    await picture(page, "inbox")
    form = page.locator(".request").filter(has_text="Book seats")
    await form.get_by_label("seats").fill("two")
    await form.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_contain_text("seats")
    await picture(page, "answer-wrong")
    await page.get_by_label("seats").fill("2")
    await page.get_by_label("window").select_option("yes")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".notice")).to_have_text("Answered.")
    await expect(page.locator(".request")).to_have_count(1)
    await page.goto(f"/ui/tasks/{task_id}")
    await page.get_by_label("Arguments").fill('{"amount": 90, "to": "the railway"}')
    await page.get_by_label("Note").fill("We have a card.")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("#status .pill")).to_have_text("completed")
    await expect(page.locator("#requests .request")).to_have_count(0)
    await expect(page.locator("#result")).to_contain_text("All is booked.")
    await expect(page.locator("#timeline")).to_contain_text("paid 90 to the railway")
    await picture(page, "task-answered")
