"""Readers of the documentation: a shell in an empty folder, and a provider that their agents' model calls go to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.shells import Shell
from tests.docs.pages import Reader
from tests.docs.provider import answering


@pytest.fixture
async def reader(environment: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    shell = Shell(environment)
    monkeypatch.setenv("PORT", "0")  # a free one; the server then listens everywhere, which asks for a key
    monkeypatch.setenv("WORKER_API_KEY", "the-key-of-a-test")
    async with answering() as base_url:
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
        yield Reader(shell)
        shell.end_all()
