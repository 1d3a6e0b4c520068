"""A loopback server: the files that the samples name, and a model's API that says one sentence."""

import io
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fpdf import FPDF
from PIL import Image

SENTENCE = "Sales went up."


def a_pdf() -> bytes:
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=12)
    document.cell(text="Report of the year")
    return bytes(document.output())


def a_picture(form: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(content, form)
    return content.getvalue()


FILES = {
    "/report.pdf": ("application/pdf", a_pdf()),
    "/chart.png": ("image/png", a_picture("PNG")),
    "/logo.jpg": ("image/jpeg", a_picture("JPEG")),
    "/data.csv": ("text/csv", b"region,sales\nnorth,3\nsouth,4\n"),
    "/sales_data.csv": ("text/csv", b"region,sales\nnorth,3\nsouth,4\n"),
}

CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SENTENCE}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
RESPONSE = {
    "id": "r",
    "object": "response",
    "created_at": 0,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": SENTENCE, "annotations": []}],
        }
    ],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}


class Website:
    """Where it is, and what its model was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []


@contextmanager
def website() -> Generator[Website]:
    # HTTP/1.0, so no connection is kept: Agno has one HTTP client a process, and each test has a loop of its own.
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, content = FILES.get(self.path, ("text/plain", b""))
            self._answer(200 if content else 404, media_type, content)

        def do_POST(self) -> None:
            site.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            answer = CHAT if self.path.endswith("/chat/completions") else RESPONSE
            self._answer(200, "application/json", json.dumps(answer).encode())

        def _answer(self, status: int, media_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Website(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
