"""Pages of other sites in a real browser, beside a server without a key: they read nothing, and change nothing."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import async_playwright

from tests.browser.conftest import CHROMIUM, OPTIONS
from tests.conftest import TABLES, execute
from tests.server.conftest import Start

NAMES = "--host-resolver-rules=MAP evil.example 127.0.0.1"
OWN = {"audit", "chores", "secrets"}  # what the server writes by itself, refusals among it
ATTACK = (Path(__file__).parent / "other_site.js").read_text()


class OtherSite(BaseHTTPRequestHandler):
    """A site that has an empty page, and redirects to wherever it is told to."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/redirect":
            query = parse_qs(asked.query)
            self.send_response(int(query["code"][0]))
            self.send_header("location", query["to"][0])
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<body>")

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def other_site() -> Iterator[int]:
    """The port of a site on the same machine, under every name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def stored(url: str) -> dict[str, list[tuple[object, ...]]]:
    return {name: execute(url, f"select t::text from worker.{name} t order by 1") for name in set(TABLES) - OWN}  # noqa: S608


@pytest.mark.parametrize(
    ("place", "server"),
    [
        ("http://evil.example:{other}", "http://127.0.0.1:{own}"),  # cross-site
        ("http://localhost:{other}", "http://localhost:{own}"),  # the same site by its name
        ("http://evil.example:{own}", ""),  # DNS rebinding
    ],
    ids=["another name", "another port", "a name that leads here"],
)
async def test_a_page_of_another_site_reads_and_changes_nothing(
    start: Start, database_url: str, other_site: int, place: str, server: str
) -> None:
    serving = await start()
    async with httpx.AsyncClient(base_url=serving.base) as client:
        made = await client.post("/agent-execution/a", json={"input": {"text": "a private question"}})
    before = stored(database_url)
    site, base = (each.format(other=other_site, own=serving.port) for each in (place, server))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, NAMES])
        page = await browser.new_page()
        await page.goto(f"{site}/")
        attack = f"([base, id]) => {{ {ATTACK}; return attack(base, id); }}"
        assert await page.evaluate(attack, [base, made.json()["id"]]) == []
        await browser.close()
    assert stored(database_url) == before
