"""``worker key …``: keys of the HTTP server."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.platform import ask
from worker.words.roles import Role

if TYPE_CHECKING:
    from worker.contracts import Key

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = 100 * 365 * 86_400  # seconds; a key without this option never expires

ROLES = (
    "Permissions: viewer reads; client also creates, stops and answers tasks; worker reads, claims tasks"
    " and writes what it claimed (for `worker run`); admin does everything."
)

keys = typer.Typer(no_args_is_help=True, help="API keys of the HTTP server.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


def lifetime(text: str | None) -> float | None:
    """Parse a duration such as ``90d``, and return it in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if match is None or not 0 < int(match[1]) * UNITS[match[2]] <= LONGEST:
        raise typer.BadParameter("expected a number followed by s, m, h, d or w, such as 90d", param_hint="--expires")
    return float(int(match[1]) * UNITS[match[2]])


@keys.command()
def create(  # noqa: PLR0917 - typer turns each parameter into an option
    organization: Annotated[str, typer.Option(metavar="ID", help="Organization whose tasks the key can access.")],
    role: Annotated[Role, typer.Option(help=ROLES)] = Role.Client,
    agents: Annotated[
        str | None, typer.Option(metavar="A,B", help="Agents that the key can access. Default: all.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Time until the key expires, such as 90d. Default: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is shown only once, since only its digest is stored."""
    seconds = lifetime(expires)
    named = [each.strip() for each in (agents or "").split(",") if each.strip()]
    text, key = ask(lambda on: on.keys.create(organization, role=role, name=name, agents=named, seconds=seconds))
    if as_json:
        output.say(_json({"key": text, **_plain(key)}))
        return
    output.aside(f"key {key.id} of {key.organization_id}, role {key.role}; it is shown only once")
    output.say(text)


@keys.command("list")
def list_keys(
    organization: Annotated[str | None, typer.Option(metavar="ID", help="Only keys of this organization.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keys, without their texts."""
    found = ask(lambda on: on.keys.list(organization), quiet=as_json)
    if as_json:
        output.say(_json([_plain(key) for key in found]))
        return
    rows = (
        (key.id, key.organization_id, key.role, key.name, ",".join(key.agents or ("all",)), _state(key))
        for key in found
    )
    output.print_rows(("key", "organization", "role", "name", "agents", "state"), rows)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, from `worker key list`.")]) -> None:
    """Revoke a key; running servers refuse it within five seconds."""
    key = ask(lambda on: on.keys.revoke(key_id))
    output.say(f"{key.id} revoked")


@keys.command()
def generate() -> None:
    """Print a new key for WORKER_ENCRYPTION_KEY; it is not stored."""
    from worker.engine.database.vault import new_key

    output.say(new_key())


def _state(key: "Key") -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    return f"until {output.time_of(key.expires_at)}"


def _plain(key: "Key") -> dict[str, Any]:
    moments = ("created_at", "expires_at", "revoked_at")
    plain = key.model_dump()
    return {**plain, **{name: plain[name].isoformat() if plain[name] else None for name in moments}}


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
