"""Audit-log entries for refused requests: the first of each kind is written immediately, repetitions are counted."""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from worker.contracts import NO_KEY, Host
from worker.server.identity.access import Access
from worker.server.limits.headers import address_of, key_of
from worker.words.actors import Actor, AuditAction, Door
from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce

KINDS = 500  # most kinds that are counted separately, with a valid key and without; further ones share one entry each
WRONG_KEY = "wrong key"
SEVERAL = "(several)"
REFUSED = frozenset({401, 403, 404, 429})
"""Status codes that count as refusals. 404 is one: tasks and agents out of reach are reported as not found."""


@dataclass(slots=True)
class _Kind:
    organization_id: str
    subject: str
    actor: Actor
    error: str
    since: float
    more: int = 0


class Refusals:
    """Records refused requests in the audit log.

    Args:
        host: The platform, whose organizations have the audit logs.
        organization_id: The server's organization, whose log has the requests without a valid key.
        run_in_background: Runs a coroutine in the background.
        window: Seconds in which only one entry per kind is written, so that a flood does not fill the table.
    """

    def __init__(
        self,
        host: Host,
        organization_id: str,
        run_in_background: Callable[[Coroutine[Any, Any, None]], None],
        window: float,
    ) -> None:
        self._host = host
        self._organization = organization_id
        self._run_in_background = run_in_background
        self._window = window
        self._kinds: dict[bool, dict[tuple[str, ...], _Kind]] = {True: {}, False: {}}  # by whether there was a key

    def note(self, scope: Scope, error: ModuleException, access: Access | None, door: Door = Door.Api) -> None:
        """Record that a request was refused, without waiting for the audit log.

        Args:
            scope: The ASGI scope of the request.
            error: The error that was returned.
            access: The permissions of the request; None if it had no valid key.
            door: The interface through which the request came.
        """
        if error.status_code not in REFUSED:
            return
        actor = actor_of(scope, access, door)
        if access is not None:
            organization_id, path = access.organization.organization_id, scope["path"]
        else:  # a client without a valid key may name any organization, whose audit log must not be filled with this
            organization_id, path = self._organization, _named(scope, self._organization)
        asked, kinds = f"{scope['method']} {path}", self._kinds[access is not None]
        name = (organization_id, actor.key_id, actor.address, str(scope.get("row") or scope["path"].split("/")[1]))
        name += (str(error.status_code),)
        known = kinds.get(name)
        if known is None and len(kinds) >= KINDS:
            name, asked, organization_id = ("others",), "(others)", self._organization
            actor = Actor(SEVERAL if access is not None else actor.key_id, "", None, SEVERAL, door)
            known = kinds.get(name)
        if known is not None and time.monotonic() < known.since + self._window:
            known.more += 1
            return
        if known is not None and known.more:
            self._write(known, known.more)
        kind = _Kind(organization_id, asked, actor, error.description, time.monotonic())
        kinds[name] = kind
        self._write(kind, 1)

    def settle(self, until: float) -> None:
        """Write the counts of repeated refusals whose window ends by then, in seconds of the monotonic clock."""
        for kinds in self._kinds.values():
            for name, kind in list(kinds.items()):
                if until >= kind.since + self._window:
                    del kinds[name]
                    if kind.more:
                        self._write(kind, kind.more)

    def _write(self, kind: _Kind, times: int) -> None:
        self._run_in_background(self._written(kind, times))

    async def _written(self, kind: _Kind, times: int) -> None:
        audit = self._host.organization(kind.organization_id).audit
        try:
            await audit.write(AuditAction.Refused, kind.subject, actor=kind.actor, error=kind.error, times=times)
        except ModuleException as error:
            announce(PlatformTrouble(doing="writing the audit log", error=error))


def _named(scope: Scope, own: str) -> str:
    """Return a request's path, with the organization that it named unless that is the server's own."""
    named = scope.get("organization_id")
    return scope["path"] if named in (None, own) else f"/{named}{scope['path']}"


def actor_of(scope: Scope, access: Access | None, door: Door = Door.Api) -> Actor:
    """Return the actor of a request, for the audit log."""
    if access is None:
        return Actor(WRONG_KEY if key_of(scope) else NO_KEY, "", None, address_of(scope), door)
    return Actor(access.key, access.name, str(access.role), address_of(scope), door)
