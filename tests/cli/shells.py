"""A shell of one's own: the real command line, in its own folder, as a real process."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support import wait_until

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60  # a command takes about one; the machine may be busy


class Running:
    """A command that was started and goes on."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def says(self, text: str) -> None:
        await wait_until(lambda: text in self.log or self.process.poll() is not None, f"{text!r} in its log", SECONDS)
        assert text in self.log, self.log

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


class Shell:
    """The command line in one folder, in the test's environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Running] = []

    def handlers(self, source: str, name: str = "mine") -> None:
        (self.folder / "handlers").mkdir(exist_ok=True)
        (self.folder / "handlers" / f"{name}.py").write_text(textwrap.dedent(source))

    def worker(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> Running:
        return self.launch(self.command(*arguments), **environment)

    def launch(self, command: list[str], **environment: str) -> Running:
        log = self.folder / f"log-{len(self.started)}"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def end_all(self) -> None:
        """Kill what still runs of all that was started here."""
        for running in self.started:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait(SECONDS)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "worker", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}
