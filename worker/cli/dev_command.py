"""``worker dev``: server and worker in one process, for the development of handlers."""

import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.platform import read_settings
from worker.cli.worker_commands import HANDLERS, HandlersOption

if TYPE_CHECKING:
    from worker.dev.development import Ready
    from worker.registry import Registry

ANY_AGENT = "assistant"  # the example's agent if the handlers accept any


def dev(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any address other than loopback requires a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on. Default: PORT, or the first free port from 8080."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Maximum number of tasks to run at a time. Default: WORKER_CONCURRENCY."),
    ] = None,
    handlers: HandlersOption = HANDLERS,
) -> None:
    """Run server and worker in one process; handlers are reloaded when they are saved."""
    started = time.monotonic()
    settings = read_settings(port=port, concurrency=concurrency)
    try:
        from worker.dev.development import develop
    except ModuleNotFoundError as error:
        from worker.words.errors import ConfigurationError

        raise ConfigurationError(f"{error.name} is not installed: pip install 'agno-worker[server]'") from None
    raise typer.Exit(develop(settings, handlers, greet, host=host, started=started))


def greet(ready: "Ready") -> None:
    """Print where everything is, and a command to copy."""
    if ready.other_port is not None:
        output.say(f"Port {ready.other_port} is in use; this is the next free port.")
    output.say(f"Ready in {ready.seconds:.1f} s:  {ready.url}  (API documentation: {ready.url}/docs)")
    output.say(f"Tasks:     {ready.platform}")
    output.say(f"Handlers:  {described(ready.registry)}; reloaded when saved")
    output.say("Try it in another terminal:\n")
    output.say(f"    {example(ready)}\n")


def described(registry: "Registry") -> str:
    """Describe the handlers in one line."""
    if not registry.handlers:
        return "none yet"
    return ", ".join(f"{each.name} ({each.agent_id or 'any agent'})" for each in registry.handlers)


def example(ready: "Ready") -> str:
    """Return a command that creates a task, for any folder and shell of this machine."""
    named = [handler.agent_id for handler in ready.registry.tasks() if handler.agent_id is not None]
    agent = shlex.quote(named[0] if named else ANY_AGENT)
    where = f"XPANDER_BASE_URL={ready.url}" + (" XPANDER_API_KEY=YOUR_KEY" if ready.needs_key else "")
    return f'{where} {this_command()} task create --agent {agent} --text "Hello" --follow'


def this_command() -> str:
    """Return the command for this program in another shell: its name, if the shell would find this installation."""
    here = Path(sys.executable).with_name("worker")
    found = shutil.which("worker")
    if found is not None and Path(found).absolute() == here.absolute():
        return "worker"
    return shlex.quote(str(here)) if here.exists() else f"{shlex.quote(sys.executable)} -m worker"
