"""``worker check``: report problems before anything is started."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import failures, output
from worker.cli.heroku_plans import PLANS
from worker.cli.platform import read_settings
from worker.cli.worker_commands import HANDLERS, HandlersOption

if TYPE_CHECKING:
    from worker.toolbox import RegisteredTool

PlanOption = Annotated[
    str | None,
    typer.Option(
        metavar="PLAN",
        help=f"With --heroku: the database plan ({', '.join(PLANS)} …). Default: query the database.",
    ),
]


def check(
    *,
    handlers: HandlersOption = HANDLERS,
    heroku: Annotated[
        bool, typer.Option("--heroku", help="Also check whether this folder and these settings work on Heroku.")
    ] = False,
    plan: PlanOption = None,
    web: Annotated[
        int | None, typer.Option(min=0, help="With --heroku: number of web dynos. Default: as in app.json, or 1.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="With --heroku: number of worker dynos. Default: as in app.json, or 1.")
    ] = None,
    from_xpander: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Instead, list each use of xpander-sdk in this folder, and whether it works here."
        ),
    ] = None,
) -> None:
    """Validate the settings and the handlers, and show the platform that they lead to; nothing is started."""
    if from_xpander is not None:
        _check_moving(from_xpander)
        return
    if not heroku and (plan is not None or web is not None or workers is not None):
        raise typer.BadParameter("--plan, --web and --workers require --heroku", param_hint="--heroku")
    found = [*_check_settings(), *_check_handlers(handlers)]
    if heroku:
        from worker.cli import heroku_check

        found += heroku_check.problems(Path(), handlers, plan=plan, web=web, workers=workers)
    for problem in found:
        output.aside(problem)
    if found:
        output.aside(f"{len(found)} {'problem' if len(found) == 1 else 'problems'}")
        raise typer.Exit(failures.FAILED)
    if heroku:
        output.say("ready for Heroku")


def _check_moving(folder: Path) -> None:
    from worker.cli.moving import findings
    from worker.cli.moving_table import Verdict

    found = findings(folder)
    for each in found:
        output.say(str(each))
    lacking = sum(each.entry.verdict is Verdict.Missing for each in found)
    if not found:
        output.aside("no module here imports xpander_sdk")
    elif lacking:
        output.aside(f"{lacking} of {len(found)} uses have no counterpart here")
        raise typer.Exit(failures.FAILED)


def _check_settings() -> list[str]:
    from worker import wiring
    from worker.words.errors import ModuleException

    try:
        output.say(f"platform: {wiring.choose(read_settings()).description}")
    except ModuleException as error:
        return error.description.splitlines()
    return []


def _unreadable(tool: "RegisteredTool") -> list[str]:
    """Return why Agno cannot read a tool's signature; empty if it can."""
    from worker.agents.tools.local_tools import local
    from worker.words.errors import ConfigurationError

    try:
        local(tool)
    except ConfigurationError as error:
        return [error.description]
    return []


def _check_handlers(folder: Path) -> list[str]:
    from worker import discovery, registry
    from worker.words.errors import ConfigurationError

    problems: list[str] = []
    try:
        discovery.discover(folder)
    except ConfigurationError as error:
        problems += error.description.splitlines()
    for handler in registry.default.handlers:
        output.say(f"{handler.place}: {handler.name} handles {handler.event_type} of {handler.agent_id or 'any agent'}")
    for tool in registry.default.tools.tools:
        output.say(f"{tool.place}: {tool.name} is a tool of {', '.join(tool.agent_ids) or 'every agent'}")
        problems += _unreadable(tool)
    if not problems or registry.default.handlers or registry.default.problems:
        try:
            registry.default.check()
        except ConfigurationError as error:
            problems += error.description.splitlines()
    return problems
