"""A page of the documentation, followed by copy and paste from its top to its end.

A block with a title, or a comment for one, is a file; one titled ``output`` is what the command before it prints, where
``…`` stands for anything. A Python block without a title is run as a script. Each line of a console block is typed:
`worker run`, `worker serve` and `worker dev` go on beside the rest, `export` counts from there on, what only prepares
the machine (pip, git, a platform's own command line) is passed over.
"""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cli.shells import ROOT, Running, Shell

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w/]+\.py)\n")
OUTPUT = "output"
STAYING = {"run": "worker ready", "serve": "server ready", "dev": "worker ready"}
PREPARING = frozenset(
    {
        "pip",
        "git",
        "mkdir",
        "python",
        "heroku",
        "docker",
        "kubectl",
        "sudo",
        "systemctl",
        "grep",
        "make",
        "curl",
        "createdb",
    }
)


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(found[1], found[2] or None, found[3]) for found in BLOCK.finditer(page.read_text())]


class Reader:
    """Somebody who follows a page."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._staying: dict[str, Running] = {}
        self._printed = ""
        self.ran: list[str] = []

    async def follow(self, page: Path) -> None:
        for block in blocks_of(page):
            if block.title == OUTPUT:
                self._compare(block.text)
            elif block.title is not None:
                self._write(block.title, block.text)
            elif named := NAMED.match(block.text):
                self._write(named[1], block.text)
            elif block.language == "python":
                await self._script(block.text)
            elif block.language == "console":
                for line in block.text.splitlines():
                    await self._type(line)

    def _write(self, title: str, text: str) -> None:
        path = self._shell.folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _compare(self, expected: str) -> None:
        pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
        assert re.search(pattern, self._printed, re.DOTALL), f"expected {expected!r}, printed {self._printed!r}"

    async def _script(self, text: str) -> None:
        self._write(".script.py", text)
        await self._run([sys.executable, "-W", "error", ".script.py"], text)

    async def _type(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        if not words:
            return
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            os.environ.setdefault(name, value)
        elif words[0] == "worker" and words[1] in STAYING:
            await self._stay(words[1:])
        elif words[0] == "worker":
            await self._run([sys.executable, "-m", *words], line)
        elif words[0] == "python" and (words[1].endswith(".py") or words[2] == "pytest"):
            await self._run([sys.executable, *words[1:]], line)
        else:
            assert words[0] in PREPARING, f"who is to type {line!r}?"

    async def _stay(self, words: list[str]) -> None:
        before = self._staying.pop(words[0], None)
        if before is not None:
            await asyncio.to_thread(before.end)
        running = self._staying[words[0]] = self._shell.start(*words)
        await running.says(STAYING[words[0]])
        self.ran.append(" ".join(words))

    async def _run(self, command: list[str], shown: str) -> None:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=self._shell.folder,
            env={**self._shell.environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self._shell.folder)])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        logs = "".join(running.log for running in self._staying.values())
        assert done.returncode == 0, f"{shown}\n{done.stdout}{done.stderr}\n{logs}"
        self._printed = done.stdout
        self.ran.append(shown)
