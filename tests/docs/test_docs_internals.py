"""The pages for those who change the project name what there is: files, verbs, kinds of journal rows."""

import re
from pathlib import Path
from typing import get_args

import pytest

from worker.agents.journal.rows import Kind
from worker.server.verbs.runner import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "internals").glob("*.md"))
PLACES = (ROOT, ROOT / "worker", ROOT / "tests", ROOT / "worker" / "engine" / "state", ROOT / "worker" / "remote")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`([\w./-]+\.(?:py|md|toml|sql|yml))`", page.read_text(encoding="utf-8"))
    missing = [each for each in named if not any((place / each).exists() for place in PLACES)]
    assert missing == []


def test_the_page_of_the_wire_has_every_verb() -> None:
    page = (ROOT / "docs" / "internals" / "wire.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(VERBS)


def test_the_page_of_the_journal_has_every_kind_of_row() -> None:
    page = (ROOT / "docs" / "internals" / "journal.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(get_args(Kind))


def test_every_promise_has_tests() -> None:
    page = (ROOT / "docs" / "internals" / "promises.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 17))
    for _, paths in rows:
        for path in re.findall(r"`([\w./]+)`", paths):
            assert (ROOT / "tests" / path).exists(), path


def test_no_module_has_more_than_350_lines() -> None:
    """What grows beyond that has two subjects; see ``docs/internals/style.md``."""
    lines = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8").count("\n") for path in ROOT.glob("worker/**/*.py")
    }
    assert {str(path): count for path, count in lines.items() if count > 350} == {}
