"""Shells in the test's environment."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.shells import Shell


@pytest.fixture
def shells(environment: Path) -> Iterator[Callable[[str], Shell]]:
    """Shells by name, each in a folder of its own; what they started ends with the test."""
    made: dict[str, Shell] = {}

    def shell(name: str) -> Shell:
        if name not in made:
            (environment / name).mkdir()
            made[name] = Shell(environment / name)
        return made[name]

    yield shell
    for each in made.values():
        each.end_all()


@pytest.fixture
def here(shells: Callable[[str], Shell]) -> Shell:
    """The shell that tests type into."""
    return shells("here")


@pytest.fixture
def elsewhere(shells: Callable[[str], Shell]) -> Shell:
    """A shell in another folder."""
    return shells("elsewhere")
