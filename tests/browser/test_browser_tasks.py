"""A person at the pages: makes a task, watches it, stops it, has it done again."""

import re
from pathlib import Path

from fpdf import FPDF
from playwright.async_api import Page, expect

from tests.browser.worlds import KEY, World, picture


def a_pdf() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=24)
    pdf.cell(text="The figures of the quarter")
    return bytes(pdf.output())


async def test_a_task_with_a_pdf_is_made_and_watched_to_its_end(page: Page, world: World, tmp_path: Path) -> None:
    path = tmp_path / "figures.pdf"
    path.write_bytes(a_pdf())
    await page.get_by_role("link", name="New task").first.click()
    await page.get_by_label("Agent", exact=True).fill("analyst")
    await page.get_by_label("Prompt").fill("Summarise the figures of the quarter.")
    await page.locator("#files").set_input_files(path)
    await page.get_by_text("More", exact=True).click()
    await page.get_by_label("Result format").select_option("markdown")
    await picture(page, "new")
    await page.get_by_role("button", name="Create task").click()
    await expect(page.locator("object")).to_have_attribute("type", "application/pdf")
    await expect(page.locator(".row.call")).to_have_count(3)
    await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.locator(".row.text .said")).to_have_text("# Quarterly figures\n\n**R", use_inner_text=True)
    await expect(page.get_by_label("Message to the agent")).to_be_visible()
    await picture(page, "task-live")
    world.says.set()
    await expect(page.locator("#status .pill")).to_have_text("completed")
    await expect(page.locator("#result h1")).to_have_text("Quarterly figures")
    await expect(page.locator("#connection")).to_have_text("complete")
    await expect(page.get_by_label("Message to the agent")).to_have_count(0)
    await expect(page.locator("#facts")).to_contain_text(re.compile(r"Tokens\s*45"))
    await picture(page, "task-done")


async def test_a_task_is_stopped_and_done_again(page: Page, world: World) -> None:
    task_id = await world.create()
    await page.goto(f"/ui/tasks/{task_id}")
    await expect(page.locator(".row.text")).to_have_count(1)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#status .pill")).to_have_text("stopped")
    world.says.set()
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator("#status .pill")).to_have_text("completed")
    await expect(page.locator("#attempts li")).to_have_count(2)


async def test_a_stream_goes_on_after_the_server_was_started_anew(page: Page, world: World) -> None:
    task_id = await world.create()
    await page.goto(f"/ui/tasks/{task_id}")
    await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.locator(".row.text")).to_have_count(1)
    await world.restart()
    world.says.set()
    await expect(page.locator("#status .pill")).to_have_text("completed", timeout=20_000)
    live = await page.locator("#timeline").inner_text()
    await page.reload()
    assert re.sub(r"\s+", " ", live) == re.sub(r"\s+", " ", await page.locator("#timeline").inner_text())


async def test_dropped_files_go_with_the_task(page: Page, world: World) -> None:
    await page.goto("/ui/new")
    drop = """() => {
        const files = new DataTransfer();
        files.items.add(new File(["a,b\\n1,2"], "dropped.csv", {type: "text/csv"}));
        files.items.add(new File(["hello"], "second.txt", {type: "text/plain"}));
        const drop = new DragEvent("drop", {dataTransfer: files, bubbles: true});
        document.querySelector("[data-drop]").dispatchEvent(drop);
    }"""
    await page.evaluate(drop)
    await expect(page.locator("[data-chosen] li")).to_have_count(2)
    await page.get_by_label("Agent", exact=True).fill("nobody")
    await page.get_by_role("button", name="Create task").click()
    await expect(page.locator(".files .file b")).to_have_text(["dropped.csv", "second.txt"])
    await expect(page.locator(".files pre").first).to_have_text("a,b\n1,2")


async def test_the_list_is_kept_up_to_date_and_filtered_as_one_types(page: Page, world: World) -> None:
    await expect(page.get_by_text("No tasks yet")).to_be_visible()
    await world.create("Find the needle", agent="nobody")
    await world.create("Some hay", agent="nobody")
    await expect(page.locator(".items > li")).to_have_count(2)
    await page.get_by_label("Text", exact=True).fill("needle")
    await expect(page.locator(".items > li")).to_have_count(1)
    assert "text=needle" in page.url
    await page.get_by_label("Text", exact=True).fill("nothing of the kind")
    await expect(page.get_by_text("No matching tasks")).to_be_visible()


async def test_who_signs_out_sees_nothing_more(page: Page, world: World) -> None:
    task_id = await world.create(agent="nobody")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    await page.goto(f"/ui/tasks/{task_id}")
    await page.get_by_label("Key").fill("a wrong key")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("This key is not valid.")
    await picture(page, "sign-in")
    await page.get_by_label("Key").fill(KEY)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile(f"/ui/tasks/{task_id}$"))
