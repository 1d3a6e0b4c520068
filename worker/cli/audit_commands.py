"""``worker audit …``: who did what to which row, when, and from where."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import AsJson
from worker.cli.platform import ask
from worker.words.actors import AuditAction

if TYPE_CHECKING:
    from worker.words.audit import AuditEntry

audit = typer.Typer(no_args_is_help=True, help="The audit log: who changed what, when and from where.")


@audit.command("list")
def list_audit(
    *,
    action: Annotated[AuditAction | None, typer.Option(help="Only entries with this action.")] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="ROW", help="Only entries about this row, given as its kind and id, or its id alone."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only entries made with this key, given by id or name.")] = None,
    address: Annotated[str | None, typer.Option(help="Only entries from this address.")] = None,
    after: Annotated[datetime | None, typer.Option(metavar="TIME", help="Only entries at this time or later.")] = None,
    until: Annotated[datetime | None, typer.Option(metavar="TIME", help="Only entries before this time.")] = None,
    organization: Annotated[
        str | None, typer.Option(metavar="ID", help="Organization to show. Default: XPANDER_ORGANIZATION_ID.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most entries to list.")] = 50,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="Continue after this entry, the last one on the previous page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List entries, newest first: keys created or revoked, agents saved, tasks stopped or retried, sign-ins, refusals.

    Entries are kept for WORKER_AUDIT_DAYS. Over HTTP, this needs an admin's key.
    """
    from worker.words.audit import AuditQuery

    query = AuditQuery(
        action=action,
        subject=subject,
        key=key,
        address=address,
        after=_with_zone(after),
        until=_with_zone(until),
        limit=limit,
        before=before,
    )
    found = ask(lambda platform: platform.tasks.audit(query), quiet=as_json, organization_id=organization)
    headings = ("when", "action", "row", "key", "role", "from", "by", "error", "line")
    output.print_list(found, headings, _row, as_json=as_json)


def _with_zone(moment: datetime | None) -> datetime | None:
    """Return a moment with a time zone, by default the local one."""
    return None if moment is None else moment.astimezone()


def _row(each: "AuditEntry") -> tuple[str, ...]:
    times = f", {each.times} times" if each.times > 1 else ""
    return (
        output.time_of(each.at),
        str(each.action) + times,
        output.one_line(each.subject),
        output.one_line(each.key_name or each.key_id),
        each.role or "",
        output.one_line(each.address),
        str(each.door),
        output.one_line(each.error),
        each.id,
    )
