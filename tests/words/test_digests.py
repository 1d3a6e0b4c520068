"""Digests: by them what earlier attempts, of earlier versions too, did is known again."""

from typing import Any

from worker.words.digests import IncrementalDigest, as_it_is, digest


def test_a_digest_is_that_of_versions_before() -> None:
    assert digest(["x", ("p",), {"b": 1, "a": "ü\0", "c": object}]) == "44604bb8c2247644902abccc"


def test_a_growing_digest_is_that_of_the_whole() -> None:
    growing, head = IncrementalDigest(), ["model", ["tool"]]
    said: list[Any] = [["user", f"é{number}", [number]] for number in range(6)]
    for count in (0, 1, 1, 3, 6, 2, 5):
        assert growing.of(head, said[:count]) == digest([*head, said[:count]]), count
    changed = [*said[:4], ["tool", "another", []]]
    assert growing.of(head, changed) == digest([*head, changed]), "what was there before may change"
    assert growing.of(["other", []], changed) == digest(["other", [], changed])


def test_a_value_as_it_is_keeps_its_digest() -> None:
    value: list[Any] = [{"text": "ü\0", "parts": [1, None, ("x",)]}, object]
    kept, before = as_it_is(value), digest(value)
    value[0]["text"] = "another"
    value.pop()
    assert digest(kept) == before != digest(value)
    assert as_it_is("text") == "text"
