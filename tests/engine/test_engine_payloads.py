"""What goes into the database, whatever it was."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from worker.engine.database.payloads import encode
from worker.words.texts import clean

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


class Thing(BaseModel):
    text: str
    at: datetime


def texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for key, each in value.items() for text in [*texts(key), *texts(each)]]
        case list():
            return [text for each in value for text in texts(each)]
        case _:
            return []


@given(ANY_JSON)
def test_whatever_is_encoded_is_json_that_postgresql_takes(value: Any) -> None:
    encoded = encode(value)
    for text in texts(json.loads(encoded)):
        assert "\0" not in text
        text.encode()  # no lone surrogate


@given(ANY_TEXT)
def test_a_clean_text_is_one_that_postgresql_takes(text: str) -> None:
    cleaned = clean(text)
    assert cleaned is not None
    assert "\0" not in cleaned
    assert len(cleaned) <= len(text)
    cleaned.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_what_needs_no_mending_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text
    assert json.loads(encode({text: [text]})) == {text: [text]}


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "\\", "\\\0", "\\\\\0\0", "u0000"])
def test_a_backslash_before_a_nul_is_not_lost(text: str) -> None:
    assert json.loads(encode(text)) == text.replace("\0", "\ufffd")


@pytest.mark.parametrize("hostile", ["", "\ud800"])
def test_dates_and_records_are_told_the_same_beside_a_hostile_text(hostile: str) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    value = {"hostile": hostile, "at": at, "thing": Thing(text=f"x{clean(hostile)}", at=at), "price": Decimal("1.50")}
    told = json.loads(encode(value))
    del told["hostile"]
    assert told == {
        "at": "2026-01-02T00:00:00Z",
        "thing": {"text": f"x{clean(hostile)}", "at": "2026-01-02T00:00:00Z"},
        "price": "1.50",
    }


def test_what_json_does_not_know_becomes_text() -> None:
    assert isinstance(json.loads(encode(object())), str)
    assert json.loads(encode(float("nan"))) is None
    assert clean(None) is None
