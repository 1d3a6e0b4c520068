"""A plugin for pytest that turns the writer's fast ways off: ``pytest -p tests.slow_ways tests/contract``.

Every change then reads its row first, as those of other processes do, and no task begins in the transaction that
creates it. The contract must hold all the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from worker.engine.commit.hand_off import HandOff
from worker.engine.commit.owned_rows import OwnedRows

_learn = OwnedRows.learn


def _learn_and_forget(self: OwnedRows, claimed: Iterable[Mapping[str, Any]], worker_id: str, asked: float) -> None:
    claimed = list(claimed)
    _learn(self, claimed, worker_id, asked)
    self.forget(row["id"] for row in claimed)


def pytest_configure() -> None:
    OwnedRows.learn = _learn_and_forget
    HandOff.takes = lambda self, item: False  # noqa: ARG005 - its signature
