"""The root command, and what all commands share: one-line errors, the settings in ``--help``."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from worker.cli import env_file, failures, worker_commands
from worker.cli.agent_commands import agents
from worker.cli.answer_command import answer, send, signal
from worker.cli.audit_commands import audit
from worker.cli.check_command import check
from worker.cli.clean_command import clean
from worker.cli.conversation_commands import conversations
from worker.cli.delivery_commands import deliveries
from worker.cli.demo_command import demo
from worker.cli.dev_command import dev
from worker.cli.invoke_command import invoke
from worker.cli.key_commands import keys
from worker.cli.knowledge_commands import knowledge
from worker.cli.provider_commands import providers
from worker.cli.serve_command import serve
from worker.cli.task_commands import tasks
from worker.cli.tool_commands import tools


class Commands(TyperGroup):
    """The root of all commands."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Parse the options before the command. An invalid one is reported in one line, like all wrong usage."""
        try:
            return super().make_context(*arguments, **named)
        except Exception as error:
            if not isinstance(error, failures.UsageErrors):
                raise
            code = failures.report(error, command=self._named(), with_traceback=False)
            sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and turn an error into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            traced = failures.wants_traceback(ctx.params)
            code = failures.report(error, command=self._named(), with_traceback=traced)
            if code is None:
                raise
            raise typer.Exit(code) from error

    def _named(self) -> str:
        """Return the requested command with its groups; an option without its value does not name its command."""
        names, command = ["worker"], self
        for word in sys.argv[1:]:
            command = getattr(command, "commands", {}).get(word)
            if command is None:
                break
            names.append(word)
        return " ".join(names)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the commands, then all settings of the environment."""
        super().format_help(ctx, formatter)
        from worker.cli.output import settings_panel, stdout

        stdout().print(settings_panel())


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="Run Agno agents as durable background tasks that survive crashes and restarts.",
    epilog="Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(dev)
app.command()(worker_commands.run)
app.command()(serve)
app.command()(worker_commands.migrate)
app.command()(clean)
app.command()(check)
app.command()(invoke)
app.command()(demo)
tasks.command("answer")(answer)
tasks.command("signal")(signal)
tasks.command("send")(send)
app.add_typer(tasks, name="task")
app.add_typer(conversations, name="conversation")
app.add_typer(agents, name="agent")
app.add_typer(tools, name="tool")
app.add_typer(knowledge, name="kb")
app.add_typer(deliveries, name="delivery")
app.add_typer(providers, name="provider")
app.add_typer(keys, name="key")
app.add_typer(audit, name="audit")


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        typer.echo(f"agno-worker {installed_version()}, Python {sys.version.split()[0]}")
        raise typer.Exit


def installed_version() -> str:
    """Return the version of the distribution, if the package was installed as one."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("agno-worker")
    except PackageNotFoundError:
        return "(not installed, running from a checkout)"


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
) -> None:
    """Accept the options common to all commands; ``failures`` reads them from the context."""
    del version, debug
    env_file.take_in()
