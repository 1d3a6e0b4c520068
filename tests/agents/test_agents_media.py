"""Media that Agno reads itself while a run is in hand: from where attachments come, and from nowhere else."""

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from agno.agent import Agent
from agno.media import File, Image
from agno.models.google.gemini_interactions import GeminiInteractions
from agno.models.message import Message
from agno.utils import tokens

from worker import Task, run_agent
from worker.agents.instrumentation.storage import media
from worker.testing import Call, ScriptedModel, run_handler

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")

METADATA = "http://169.254.169.254/latest/meta-data"
PNG = (
    b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (40).to_bytes(4, "big") + (30).to_bytes(4, "big") + b"\x08\x02" + bytes(70)
)


class Serving(ThreadingHTTPServer):
    asked: list[str]


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        cast("Serving", self.server).asked.append(self.path)
        is_elsewhere = self.path == "/elsewhere"
        self.send_response(302 if is_elsewhere else 200)
        self.send_header("content-type", "image/png; x=y")
        self.send_header("content-length", "0" if is_elsewhere else str(len(PNG)))
        if is_elsewhere:
            self.send_header("location", METADATA)
        self.end_headers()
        if not is_elsewhere and self.command == "GET":
            self.wfile.write(PNG)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Serving]:
    serving = Serving(("127.0.0.1", 0), Answering)
    serving.asked = []
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


async def within_a_run(*reads: Callable[[], Any]) -> list[Any]:
    """What functions answer that are called by a tool; an error by its words."""
    answers: list[Any] = []

    async def look() -> str:
        """Look."""
        for read in reads:
            try:
                answer = read()
                answers.append(await answer if asyncio.iscoroutine(answer) else answer)
            except Exception as error:  # noqa: BLE001 - told by its words
                answers.append(str(error))
        return "looked"

    async def handler(task: Task) -> Task:
        return await run_agent(Agent(id="a", model=ScriptedModel([Call("look", {}), "done"]), tools=[look]), task)

    run = await run_handler(handler, text="x")
    assert run.result == "done"
    return answers


async def in_all_ways(url: str) -> dict[str, Any]:
    """What comes of reading a URL in each way that there is."""
    return dict(zip(WAYS, await within_a_run(*(partial(way, url) for way in WAYS.values())), strict=True))


def googles_item(url: str) -> Any:
    """What Google would be sent of an image at a URL."""
    model = GeminiInteractions(id="g")
    media.hook_google_downloads(model)
    (item,) = [
        each
        for each in _all(model._build_input([Message(role="user", images=[Image(url=url)])]))
        if "uri" in each or "data" in each
    ]
    return item


def _all(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all(each)


WAYS: dict[str, Callable[[str], Any]] = {
    "read": lambda url: Image(url=url).get_content_bytes(),
    "awaited": lambda url: Image(url=url).aget_content_bytes(),
    "a file's": lambda url: File(url=url).file_url_content,
    "Google's": googles_item,
    "an image's size": lambda url: tokens._get_image_dimensions(Image(url=url)),
    "a file's size": lambda url: tokens.count_file_tokens(File(url=url)),
}
REFUSED = "127.0.0.1 has a loopback address, which is not allowed (WORKER_ALLOW_PRIVATE_URLS)"


async def test_no_private_address_is_read(server: Serving) -> None:
    url = f"http://127.0.0.1:{server.server_port}/here.png"
    assert await in_all_ways(url) == {
        "read": REFUSED,
        "awaited": REFUSED,
        "a file's": None,
        "Google's": {"type": "image", "mime_type": "image/jpeg", "uri": url},
        "an image's size": (tokens.DEFAULT_IMAGE_WIDTH, tokens.DEFAULT_IMAGE_HEIGHT),
        "a file's size": 0,
    }
    assert server.asked == []


async def test_what_is_allowed_is_read(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
    assert await in_all_ways(f"http://localhost:{server.server_port}/here.png") == {
        "read": PNG,
        "awaited": PNG,
        "a file's": (PNG, "image/png"),
        "Google's": {"type": "image", "mime_type": "image/jpeg", "data": base64.b64encode(PNG).decode()},
        "an image's size": (40, 30),
        "a file's size": len(PNG) // 40,
    }
    assert server.asked == ["/here.png"] * len(WAYS)


async def test_where_clouds_tell_credentials_nothing_is_read_even_then(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
    elsewhere = f"http://127.0.0.1:{server.server_port}/elsewhere"
    urls = (METADATA, elsewhere, "http://metadata.google.internal/", "http://[fd00:ec2::254]/")
    said = await within_a_run(*(partial(WAYS[way], url) for url in urls for way in ("read", "awaited")))
    assert ["is a cloud metadata service" in each for each in said] == [True] * 8


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = socket.getaddrinfo, list[str]()

    def rebinding(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if not str(host).endswith("rebinding.example"):
            return real(host, port, *args, **options)
        looks.append(host)
        return real("192.0.2.1" if looks.count(host) == 1 else "127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://{{}}.rebinding.example:{server.server_port}/here.png"
    await within_a_run(*(partial(way, url.format(number)) for number, way in enumerate(WAYS.values())))
    assert looks == [f"{number}.rebinding.example" for number in range(len(WAYS))]
    assert server.asked == []
