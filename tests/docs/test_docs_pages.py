"""The documentation is true: every page is followed by copy and paste, and the site builds without a broken link."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shells import ROOT
from tests.docs.pages import Reader, blocks_of

DOCS = ROOT / "docs"
NEED_MORE = {"deploy.md", "traces.md"}  # than one machine: a platform's own tools, a collector of traces
IN_DOCS = sorted(path for path in DOCS.rglob("*.md") if blocks_of(path) and path.name not in NEED_MORE)
PAGES = [ROOT / "README.md", *IN_DOCS]


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
async def test_a_page_can_be_followed_to_its_end(page: Path, reader: Reader) -> None:
    await reader.follow(page)


def test_there_are_pages_to_follow() -> None:
    assert DOCS / "tutorial.md" in PAGES


def test_the_site_builds_with_no_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    commands = (tmp_path / "site" / "reference" / "commands" / "index.html").read_text()
    assert "worker task create" in commands
    assert "WORKER_CONCURRENCY" in (tmp_path / "site" / "reference" / "settings" / "index.html").read_text()
    assert "run_agent" in (tmp_path / "site" / "reference" / "python" / "index.html").read_text()
