"""What the tests of attachments share."""

import pytest

from worker.inputs import recognition


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without Tesseract's data."""
    monkeypatch.setattr(recognition, "FOLDERS", ())
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
