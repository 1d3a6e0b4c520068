"""The keys that the server accepts: their permissions, caching and revocation."""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

from worker.contracts import NO_KEY, SERVER_KEY, Host, Key
from worker.server.identity.access import Access, Unauthorized
from worker.server.timings import ServerTimings
from worker.settings import Settings
from worker.words.digests import digest_of
from worker.words.errors import ModuleException, NotFound
from worker.words.notices import LegacyKeysFound, NoKeyLeft, announce
from worker.words.roles import Role

KEYS_KEPT = 1024
LINK = "answer link"
MARKS = "session marks"  # the name of a secret, not the secret


class Keyring:
    """The keys of the server: its own (``WORKER_API_KEY``) and those in the database.

    Args:
        host: The platform, for all organizations.
        settings: The server's own key and organization.
        open_without_key: Whether requests need no key as long as none has ever been created (loopback only).
        check_open: Raises Unavailable until the database has been reached for the first time.
        timings: How long a key is cached, and the interval of checks.
    """

    def __init__(
        self,
        host: Host,
        settings: Settings,
        *,
        open_without_key: bool,
        check_open: Callable[[], None],
        timings: ServerTimings,
    ) -> None:
        self._host = host
        self._timings = timings
        self._organization = settings.organization_id
        self._own = digest_of(settings.server_key.get_secret_value()) if settings.server_key else None
        self._open_without_key = open_without_key and self._own is None
        self._check_open = check_open
        self._known: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()
        self._ever = False  # whether any key has ever existed; never becomes False again
        self._looked_until = 0.0
        self._said_none_left = False
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._sessions: dict[str, set[asyncio.Event]] = {}

    async def begin(self) -> None:
        """Announce the keys that were assigned a role by default, and record whether a key has ever existed."""
        assumed = await self._host.keys.assumed()
        if assumed:
            announce(LegacyKeysFound(tuple(key.name or key.id for key in assumed)))
        if self._own is not None:
            await self._host.keys.note()
        else:
            await self._look()

    async def admit(self, key: str | None, organization_id: str | None) -> Access:
        """Return the permissions of a request.

        Args:
            key: The key that the request carries.
            organization_id: The organization that the request's path names.

        Raises:
            Unauthorized: The key is missing or wrong.
            NotFound: The key belongs to another organization.
            Unavailable: The database cannot be reached.
        """
        self._check_open()
        if self._is_own(key):
            return self._own_access(organization_id)
        found = await self._find(key) if key else None
        if found is not None:
            return self._access(found, organization_id)
        if await self.is_open():
            return Access(self._host.organization(organization_id or self._organization))
        await self._look()  # announces it if the last valid key is gone
        raise Unauthorized(description="The x-api-key header is missing or not a valid key.")

    async def is_open(self) -> bool:
        """Return whether requests need no key: none has ever existed, and the server listens on loopback only."""
        if not self._open_without_key or self._ever:
            return False
        await self._look()
        return not self._ever

    async def may_be_open(self) -> bool:
        """Return ``is_open()``, or True if the database cannot be reached and no key is known to have existed."""
        try:
            return await self.is_open()
        except ModuleException:
            return not self._ever

    async def mark(self, key: str) -> str:
        """Return the identifier that a signed session stores instead of a key, from which the key cannot be derived.

        Raises:
            Unauthorized: The key is not valid.
            Unavailable: The database cannot be reached.
        """
        self._check_open()
        if self._is_own(key):
            return await self._own_mark()
        found = await self._find(key)
        if found is None:
            raise Unauthorized(description="This key is not valid.")
        return found.id

    async def readmit(self, mark: str, organization_id: str | None) -> Access:
        """Return the current permissions of a session that was started with a key; the key may have been revoked since.

        Args:
            mark: The identifier of the key, as returned by ``mark``.
            organization_id: The organization that the request's path names.

        Raises:
            Unauthorized: The key is no longer valid.
            NotFound: The key belongs to another organization.
            Unavailable: The database cannot be reached.
        """
        self._check_open()
        if self._own is not None and hmac.compare_digest(mark, await self._own_mark()):
            return self._own_access(organization_id)
        found = await self._remembered(f"id {mark}", lambda: self._host.keys.get(mark))
        if found is None:
            raise Unauthorized(
                description="The key of this session has been revoked or has expired. Sign in with another key."
            )
        return self._access(found, organization_id)

    async def own_mark(self) -> str:
        """Return the identifier of the server's own key, or an empty string if the server has none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return "" if self._own is None else await self._own_mark()

    @staticmethod
    def name_of(access: Access, own_mark: str) -> str:
        """Return the identifier of the key behind a link."""
        return own_mark if access.key == SERVER_KEY else access.key

    async def behind_link(self, by: str, organization_id: str) -> Access:
        """Return the permissions of an answer link: those of its key, reduced to the role ``client``.

        Args:
            by: The key's identifier, ``NO_KEY``, or empty if a process of the operator created the link.
            organization_id: The organization that the link names.

        Raises:
            Unauthorized: The key is no longer valid, or the link was created without a key and keys exist now.
            Unavailable: The database cannot be reached.
        """
        if not by:
            self._check_open()
            access = Access(self._host.organization(organization_id), name="operator")
        elif by == NO_KEY:
            access = await self.admit(None, organization_id)
        else:
            access = await self.readmit(by, organization_id)
        return replace(access, role=Role.Client, key=LINK if not by else access.key)

    async def allowance(self, key: str, access: Access) -> list[str]:
        """Return the ids of the agents that a key can call, among those that the caller can reach.

        Args:
            key: The key to examine.
            access: The permissions of the caller.

        Raises:
            Unauthorized: The key is wrong.
            NotFound: The key belongs to another organization.
        """
        its = await self.admit(key, access.organization.organization_id)
        listed = [agent.id for agent in await its.organization.tasks.list_agents()]
        both = set(listed) | set(its.agents or ()) if its.agents is not None else set(listed)
        return sorted(agent for agent in both if its.reaches(agent) and access.reaches(agent))

    @contextmanager
    def watch(self, access: Access, gone: asyncio.Event) -> Generator[None]:
        """Set ``gone`` once the request's key or session is no longer valid, so that its open streams can be closed."""
        names = [(self._watched, access.key)]
        if access.session is not None:
            names.append((self._sessions, access.session))
        for watched, name in names:
            watched.setdefault(name, set()).add(gone)
        try:
            yield
        finally:
            for watched, name in names:
                watched[name].discard(gone)
                if not watched[name]:
                    del watched[name]

    async def look_after(self, closing: asyncio.Event) -> None:
        """Until ``closing`` is set, set the events of ``watch`` for keys and sessions that are no longer valid.

        Changes that the platform announces take effect immediately; others are noticed within seconds.
        """
        ending = asyncio.ensure_future(closing.wait())
        while not closing.is_set():
            mark = self._host.keys.changes()
            with suppress(ModuleException):  # the database is unavailable: validity is unknown
                await self._end_invalid()
                await self._end_signed_out()
            change = asyncio.ensure_future(self._host.keys.changed(mark, self._timings.keys))
            await asyncio.wait([change, ending], return_when=asyncio.FIRST_COMPLETED)
            if not change.done():
                change.cancel()
            elif change.result():
                self.forget()

    async def _end_invalid(self) -> None:
        watched = [key for key in self._watched if key != SERVER_KEY]
        if not watched:
            return
        valid = set(await self._host.keys.valid([key for key in watched if key != NO_KEY]))
        if NO_KEY in watched and await self.is_open():
            valid.add(NO_KEY)
        if not valid.issuperset(watched):
            self.forget()
        for key in set(watched) - valid:
            for gone in self._watched.get(key, ()):
                gone.set()

    async def _end_signed_out(self) -> None:
        watched = list(self._sessions)
        if watched:
            for token in set(watched) - await self._host.sessions.active(watched):
                for gone in self._sessions.get(token, ()):
                    gone.set()

    def forget(self) -> None:
        """Clear the cache, so that every key is read again when it is next used."""
        self._known.clear()
        self._looked_until = 0.0

    def _is_own(self, key: str | None) -> bool:
        return self._own is not None and bool(key) and hmac.compare_digest(digest_of(key or ""), self._own)

    def _own_access(self, asked: str | None) -> Access:
        self._check_organization(self._organization, asked)
        return Access(self._host.organization(self._organization), Role.Admin, SERVER_KEY, "WORKER_API_KEY")

    def _access(self, key: Key, asked: str | None) -> Access:
        self._check_organization(key.organization_id, asked)
        agents = frozenset(key.agents) if key.agents is not None else None
        return Access(self._host.organization(key.organization_id), key.role, key.id, key.name, agents)

    @staticmethod
    def _check_organization(own: str, asked: str | None) -> None:
        if asked is not None and asked != own:
            raise NotFound("Your key does not belong to the organization in the URL.")

    async def _own_mark(self) -> str:
        secret = await self._host.keys.secret(MARKS)
        return "own." + hmac.new(secret, (self._own or "").encode(), hashlib.sha256).hexdigest()

    async def _find(self, key: str) -> Key | None:
        return await self._remembered(digest_of(key), lambda: self._host.keys.find(key))

    async def _remembered(self, name: str, look: Callable[[], Awaitable[Key | None]]) -> Key | None:
        known = self._known.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        found = await look()
        self._known[name] = (time.monotonic() + self._timings.known_key, found)
        while len(self._known) > KEYS_KEPT:
            self._known.popitem(last=False)
        return found

    async def _look(self) -> None:
        """Read whether a key has ever existed, and announce it once when no valid key is left."""
        if self._looked_until > time.monotonic():
            return
        self._check_open()
        valid = await self._host.keys.exist()
        self._ever = self._ever or valid or await self._host.keys.ever()
        self._looked_until = time.monotonic() + self._timings.known_key
        none_left = self._ever and not valid and self._own is None
        if none_left and not self._said_none_left:
            announce(NoKeyLeft())
        self._said_none_left = none_left
