"""`worker kb`: knowledge bases at a command line."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worker.cli.app import app


def worker(*words: str) -> Result:
    return CliRunner().invoke(app, ["kb", *words])


def test_a_knowledge_base_is_made_filled_searched_and_removed(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = worker("create", "rules", "--description", "what we may do").stdout.strip()
    (environment / "rules.md").write_text("# Rules\n\n## Food\n\nSoup is served at noon.\n")
    (environment / "empty.txt").write_text(" ")
    added = worker("add", "rules", "rules.md", "empty.txt")
    assert (added.exit_code, "it contains only white space" in added.stdout) == (1, True)
    _, *rows = [line.split("\t") for line in worker("list", base).stdout.splitlines()]
    assert {row[1]: row[2:4] for row in rows} == {"rules.md": ["ready", "1"], "empty.txt": ["unreadable", "0"]}
    found = worker("search", base, "when is soup served?").stdout
    assert re.fullmatch(r"0\.\d{3}  rules\.md, Rules > Food\n       Soup is served at noon\.\n", found)
    (best,) = json.loads(worker("search", "rules", "soup", "--top-k", "1", "--json").stdout)
    assert (best["content"], best["heading"]) == ("Soup is served at noon.", "Rules > Food")
    CliRunner().invoke(app, ["agent", "create", "cook", "--knowledge-base", "kb-other"])
    assert worker("attach", "rules", "cook").stdout == "cook version 2\n"
    assert f"kb-other, {base}" in CliRunner().invoke(app, ["agent", "show", "cook"]).stdout
    assert worker("remove", "rules").exit_code == 2
    assert worker("remove", "rules", "rules.md").stdout == "1 removed\n"
    assert worker("remove", "rules", "--all").stdout == f"{base} removed\n"
    gone = worker("search", "rules", "soup")
    assert (gone.exit_code, gone.stderr) == (1, "worker: There is no knowledge base 'rules'. See `worker kb list`.\n")


def test_a_name_that_several_have_is_not_enough(environment: Path) -> None:
    first, second = (worker("create", "rules").stdout.strip() for _ in range(2))
    refused = worker("search", "rules", "soup")
    assert (refused.exit_code, first in refused.stderr, second in refused.stderr) == (2, True, True)
    assert "unknown embedder" in worker("create", "x", "--embedder", "os:system").stderr
    assert "the language must be one of" in worker("create", "x", "--language", "klingon").stderr
