"""Differences that are known, each with its reason: a list that may only shrink."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import Pattern
from typing import Any

WHERE = 2  # words of a difference: its pass, and its test or program


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list has of differences.

    Args:
        text: As the list has it; ``*`` stands for anything.
        reason: Of it.
        is_steady: Whether it is there each time.
    """

    text: str
    reason: str
    is_steady: bool

    def explains(self, difference: str) -> bool:
        """Whether it is meant."""
        return bool(_pattern(self.text).fullmatch(difference))

    def is_of(self, measured: str) -> bool:
        """Whether it could be found in a test or program."""
        return bool(_pattern(" ".join(self.text.split(" ")[:WHERE])).fullmatch(measured))


class Known:
    """The list.

    Args:
        file: TOML: tables ``[[difference]]`` with a ``reason`` and what it explains, ``in``, as the report says it,
            with ``*`` for anything. Where ``sometimes`` is true, it depends on how fast things are. With ``fields``,
            each of ``in`` is meant with each of these at its end.
    """

    def __init__(self, file: Path) -> None:
        tables: list[Any] = tomllib.loads(file.read_text()).get("difference", []) if file.exists() else []
        self.entries = [
            Entry(f"{text} {field}".rstrip(), table["reason"], not table.get("sometimes", False))
            for table in tables
            for text in table["in"]
            for field in table.get("fields", ("",))
        ]

    def new(self, found: Iterable[str]) -> list[str]:
        """Those that the list does not have."""
        return [each for each in found if not any(entry.explains(each) for entry in self.entries)]

    def vanished(self, found: Iterable[str], measured: Iterable[str]) -> list[str]:
        """Those of the list that are no more, among what was measured.

        Args:
            found: What was found.
            measured: Pass and test, or program, with a space between: what could have been found.
        """
        found, measured = list(found), list(measured)
        return [
            entry.text
            for entry in self.entries
            if entry.is_steady
            and not any(entry.explains(each) for each in found)
            and any(entry.is_of(each) for each in measured)
        ]


@cache
def _pattern(text: str) -> Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
