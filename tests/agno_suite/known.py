"""Differences that are known, each with its reason: a list that may only shrink."""

import tomllib
from collections.abc import Iterable
from pathlib import Path


class Known:
    """The list.

    Args:
        file: TOML: tables ``[[difference]]`` with a ``reason`` and what it explains, ``in``, as the report says it.
    """

    def __init__(self, file: Path) -> None:
        tables = tomllib.loads(file.read_text()).get("difference", []) if file.exists() else []
        self.reasons = {each: table["reason"] for table in tables for each in table["in"]}

    def new(self, found: Iterable[str]) -> list[str]:
        """Those that the list does not have."""
        return [each for each in found if each not in self.reasons]

    def vanished(self, found: Iterable[str], measured: Iterable[str]) -> list[str]:
        """Those of the list that are no more, among what was measured.

        Args:
            found: What was found.
            measured: Pass and test, or program, with a space between: what could have been found.
        """
        found, measured = set(found), set(measured)
        return [each for each in self.reasons if each not in found and " ".join(each.split(" ")[:2]) in measured]
