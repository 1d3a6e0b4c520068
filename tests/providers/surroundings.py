"""What tests of providers in trouble need around them: clients are collected, and models may not be silent for long."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.agents.instrumentation.model_calls import calling_models
from worker.agents.instrumentation.runs import bare_model_calls


@pytest.fixture
def leftovers() -> Iterator[None]:
    """What clients leave open whose connections were cut is collected with the test that cut them."""
    yield
    gc.collect()


@pytest.fixture
def short_silence(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models may be silent for six seconds, of which an answer that comes needs none."""
    monkeypatch.setenv("WORKER_MODEL_SILENCE_SECONDS", "6")
    for module in (bare_model_calls, calling_models):
        monkeypatch.setattr(module, "AT_ONCE", 1)
