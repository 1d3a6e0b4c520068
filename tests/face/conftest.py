"""What the tests of the face share: an environment whose default platform is this test's own database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.face import bridge


@pytest.fixture
def place(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory of a process whose platform is this test's database."""
    yield environment
    bridge.close()
