"""Media that Agno reads itself while a run is in hand."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from agno.agent import Agent
from agno.media import Image

from worker import Task, run_agent
from worker.agents.instrumentation.media import AddressRefused, check_request, check_response
from worker.testing import Call, ScriptedModel, run_handler

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")

METADATA = "http://169.254.169.254/latest/meta-data"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_elsewhere = self.path == "/elsewhere"
        self.send_response(302 if is_elsewhere else 200)
        self.send_header("content-type", "image/png; x=y")
        if is_elsewhere:
            self.send_header("location", METADATA)
        self.end_headers()
        if not is_elsewhere:
            self.wfile.write(b"picture")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    thread.join()


async def test_what_agno_reads_is_nowhere_that_tells_credentials(server: str) -> None:
    read: list[Any] = []

    async def look() -> str:
        """Look."""
        for url in (f"{server}/here", f"{server}/elsewhere", METADATA):
            image = Image(url=url)
            for way in ("async", "sync"):
                try:
                    read.append(await image.aget_content_bytes() if way == "async" else image.get_content_bytes())
                except AddressRefused as error:
                    read.append(str(error))
        return "looked"

    async def handler(task: Task) -> Task:
        return await run_agent(Agent(id="a", model=ScriptedModel([Call("look", {}), "done"]), tools=[look]), task)

    run = await run_handler(handler, text="x")
    assert run.result == "done"
    refused = "169.254.169.254 tells a machine its credentials"
    assert read == [b"picture", b"picture", refused, refused, refused, refused]


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_the_address_that_a_name_led_to_counts(address: str) -> None:
    class Stream:
        def get_extra_info(self, info: str) -> Any:
            return (address, 80) if info == "server_addr" else None

    request = httpx.Request("GET", "http://pictures.example/a.png")
    check_request(request)
    response = httpx.Response(200, request=request, extensions={"network_stream": Stream()})
    with pytest.raises(AddressRefused, match=r"pictures\.example is "):
        check_response(response)
