"""The gate that every request passes before its body is read: it checks the key against the access table."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.convertors import Convertor
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.contracts import AccessRule
from worker.contracts import AccessScope as Subject
from worker.contracts.access import NATIVE_STREAM, ROUTES
from worker.server.identity.access import Access
from worker.server.identity.claims import HEADER, SECRET_CHARACTERS, Claims
from worker.server.identity.origin import check_own, check_program
from worker.server.identity.refusals import actor_of
from worker.server.limits.body_memory import FREE_BYTES
from worker.server.limits.failures import response
from worker.server.limits.headers import address_of, header, key_of
from worker.server.limits.request_bounds import content_length, matches_route, max_body_bytes
from worker.server.service import Service
from worker.words.actors import as_actor
from worker.words.errors import ModuleException, NotFound, Unavailable

BODILESS = frozenset({"GET", "HEAD", "DELETE"})
ADMIT_SECONDS = 2.0  # for routes that may wait: a database that takes longer counts as unavailable
PAGES = re.compile(r"/(ui(/.*)?)?", re.DOTALL)  # the dashboard has its own gate, since its key is in a cookie


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A row of the access table, with its compiled path."""

    name: str
    method: str
    rule: AccessRule
    pattern: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]


def _rows() -> tuple[RouteRule, ...]:
    rows: list[RouteRule] = []
    for name, rule in ROUTES.items():
        method, _, path = name.partition(" ")
        pattern, _, convertors = compile_path(path)
        rows.append(RouteRule(name, method, rule, pattern, convertors))
    # Literal paths are matched before those with parameters.
    return tuple(sorted(rows, key=lambda row: len(row.convertors)))


class Gate:
    """ASGI middleware that admits a request only if the access table has a row for its route that allows its role.

    Args:
        app: The next ASGI application.
        routes: All routes of the application; a route without a row is not served.
        service: The state of the server.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], service: Service) -> None:
        self._app = app
        self._routes = routes
        self._service = service
        self._rows = _rows()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or return an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        access: Access | None = None
        try:
            if await self._service.keyring.may_be_open():
                check_own(scope, self._service.settings.origins)
            found = self._find(scope)
            if PAGES.fullmatch(scope["path"]):
                pass
            elif found is not None:
                row, parameters = found
                scope["row"] = row.name
                scope["access"] = access = await self._admitted(row.rule, scope, parameters)
            elif matches_route(self._routes, scope):
                raise NotFound("This route is not served because no access rule is defined for it.")
            organization = self._body_budget(scope)
            async with self._service.body_memory.reserve(*organization):
                with as_actor(actor_of(scope, access)):
                    await self._app(scope, receive, send)
        except ModuleException as error:
            if access is None:
                self._service.refusals.note(scope, error, scope.get("known"))
            await response(error)(scope, receive, send)

    @staticmethod
    def _body_budget(scope: Scope) -> tuple[str, int]:
        """Return the key that sends the body and the body's largest size; refuse large bodies if the key is unknown."""
        if scope["method"] in BODILESS or "row" not in scope:
            return "", 0
        chunked = header(scope, "transfer-encoding") is not None
        size = max_body_bytes(scope["path"]) if chunked else min(content_length(scope), max_body_bytes(scope["path"]))
        access = scope.get("access")
        if access is None and size > FREE_BYTES:
            raise Unavailable("the database cannot be reached", retry_after=2)
        return (access.key if access is not None else ""), size

    def _find(self, scope: Scope) -> tuple[RouteRule, dict[str, str]] | None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        for row in self._rows:
            if row.method == method and (match := row.pattern.match(scope["path"])) is not None:
                return row, match.groupdict()
        return None

    async def _admitted(self, rule: AccessRule, scope: Scope, parameters: Mapping[str, str]) -> Access | None:
        if rule.from_programs:
            check_program(scope)
        signed = rule.takes_signature and "signature" in parse_qs(scope["query_string"].decode("latin-1"))
        if signed or not rule.needs_key:
            return None
        if not rule.waits:
            return await self._checked(rule, scope, parameters)
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                return await self._checked(rule, scope, parameters)
        except (Unavailable, TimeoutError):
            return None

    async def _checked(self, rule: AccessRule, scope: Scope, parameters: Mapping[str, str]) -> Access:
        access = scope["known"] = await self._known(scope)
        await self._service.links.load()
        await self._service.answer_links.load()
        subject = access.permit(rule)
        if subject is Subject.Agent and parameters["agent_id"] != NATIVE_STREAM:
            access.check(parameters["agent_id"])
        elif subject is Subject.KnowledgeBase:
            await access.check_knowledge_base(parameters["knowledge_base_id"])
        elif subject is Subject.Worker:
            await claims_of(self._service, scope, access).worker(parameters["worker_id"])
        elif subject in (Subject.Task, Subject.Claim):
            await access.check_task(parameters["task_id"])
            if subject is Subject.Claim:
                await claims_of(self._service, scope, access).task_or_event(parameters["task_id"])
        return access

    async def _known(self, scope: Scope) -> Access:
        """Return the permissions of a request's key, counting wrong keys."""
        key, organization_id = key_of(scope), scope.get("organization_id")
        if not key:
            return await self._service.keyring.admit(None, organization_id)
        async with self._service.trying(address_of(scope), key):
            return await self._service.keyring.admit(key, organization_id)


def claims_of(service: Service, scope: Scope, access: Access, **options: Any) -> Claims:
    """Return the ownership checks of a request."""
    secret = header(scope, HEADER)
    return Claims(service.claimants, access, secret[:SECRET_CHARACTERS] if secret else None, **options)
