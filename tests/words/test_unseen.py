"""Characters that nobody sees: written out in logs, dropped from names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inputs.names import one_line
from worker.words.invisible_characters import UNSEEN_IN_LINES, escaped

HOSTILE = ["\x1b[2J", "\r", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\ufeff", "\U000e0041", "\ud800"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_nobody_sees_is_written_out(text: str) -> None:
    assert escaped(f"a{text}b").isprintable()
    assert json.loads(f'"{escaped(text[0])}"') == text[0]
    assert one_line(f"a{text[0]}b") == "a b"


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    assert not UNSEEN_IN_LINES.search(escaped(text))


def test_what_people_write_stays_as_it_is() -> None:
    for text in ("plain", "Grüße, 你好, שלום, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, 👍", "two\n\tlines"):
        assert escaped(text) == text
