"""Which errors of real providers' clients are worth another try, as Agno wraps them and the worker sees them."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.models.openai import OpenAIChat, OpenAIResponses

from tests.agents.runs import Runner
from tests.support import is_retryable, retry_after
from worker.agents.errors import AgentFailed
from worker.testing import ScriptedModel

QUOTA = {"message": "You exceeded your current quota, please check your plan.", "code": "insufficient_quota"}
REFUSED = {"message": "That is not possible.", "code": "no_such_thing"}
BUSY = {"message": "Rate limit reached for requests.", "code": "rate_limit_exceeded"}
CREDIT = {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}


@contextmanager
def provider(status: int, error: dict[str, Any], headers: dict[str, str]) -> Generator[str]:
    """A provider that answers every request in the same way."""
    body = json.dumps({"type": "error", "error": error}).encode()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**headers, "content-type": "application/json", "content-length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - its names
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def openai_chat(url: str) -> OpenAIChat:
    return OpenAIChat(id="gpt", api_key="k", base_url=f"{url}/v1", max_retries=0)


def openai_responses(url: str) -> OpenAIResponses:
    return OpenAIResponses(id="gpt", api_key="k", base_url=f"{url}/v1", max_retries=0)


def claude(url: str) -> Claude:
    return Claude(id="claude", api_key="k", client_params={"base_url": url, "max_retries": 0})


MODELS = [openai_chat, openai_responses, claude]


async def failure(running: Runner, model: Any) -> AgentFailed:
    with pytest.raises(AgentFailed) as raised:
        await running(Agent(model=model, telemetry=False))
    return raised.value


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize(
    ("status", "error", "again"),
    [
        (408, BUSY, True),
        (409, BUSY, True),
        (429, BUSY, True),
        (500, BUSY, True),
        (503, BUSY, True),
        (529, BUSY, True),
        (400, REFUSED, False),
        (401, REFUSED, False),
        (403, REFUSED, False),
        (404, REFUSED, False),
        (422, REFUSED, False),
        (429, QUOTA, False),
        (400, CREDIT, False),
    ],
)
async def test_a_providers_answer_decides(
    running: Runner, make: Any, status: int, error: dict[str, Any], again: bool
) -> None:
    with provider(status, error, {"retry-after": "7"}) as url:
        failed = await failure(running, make(url))
    assert is_retryable(failed) is again
    assert failed.status_code == status
    assert retry_after(failed) == 7
    assert error["message"] in failed.description


@pytest.mark.parametrize("make", MODELS)
async def test_a_provider_that_is_away_is_asked_again(running: Runner, make: Any) -> None:
    failed = await failure(running, make("http://127.0.0.1:1"))
    assert is_retryable(failed)
    assert failed.status_code == 503


async def test_a_defect_of_a_model_is_final_whatever_agno_makes_of_it(running: Runner) -> None:
    from agno.exceptions import ModelProviderError

    async def broken(messages: Any) -> None:
        error = TypeError("unexpected keyword argument 'tools'")
        raise ModelProviderError(message=str(error)) from error  # 502 by default

    failed = await failure(running, ScriptedModel(["never"], before=broken))
    assert not is_retryable(failed)
    assert "unexpected keyword" in failed.description
