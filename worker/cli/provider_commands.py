"""``worker provider …``: unavailable model providers, and the tasks that wait for them."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import AsJson
from worker.cli.platform import ask

if TYPE_CHECKING:
    from worker.words.providers import ProviderState

providers = typer.Typer(
    no_args_is_help=True,
    help="Unavailable model providers: list them, and resume or fail the tasks that wait for one.",
)

Name = Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider, as named in the list.")]


@providers.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """List providers whose last call failed: the error, how many tasks wait since when, and the next try."""
    found = ask(lambda platform: platform.tasks.providers(), quiet=as_json)
    headings = ("provider", "error", "tasks waiting since", "waiting", "next probe", "message")
    output.print_list(found, headings, _row, as_json=as_json)


@providers.command()
def resume(provider: Name) -> None:
    """Run the tasks that wait for a provider now."""
    state = ask(lambda platform: platform.tasks.resume_provider(provider))
    output.say(f"{state.id}: {state.waiting} tasks will be tried again")


@providers.command()
def fail(provider: Name) -> None:
    """End the tasks that wait for a provider as errors."""
    state = ask(lambda platform: platform.tasks.fail_provider(provider))
    output.say(f"{state.id}: {state.waiting} tasks have ended as errors")


def _row(state: "ProviderState") -> tuple[str, ...]:
    def time(moment: object) -> str:
        return "" if moment is None else str(moment)[:19]

    return (
        state.id,
        state.error_code,
        time(state.since),
        str(state.waiting),
        time(state.probe_at),
        output.one_line(state.message),
    )
