"""Which keys the server accepts, what each opens, and when it stops."""

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
from worker.settings import Settings
from worker.words.errors import ModuleException, NotFound
from worker.words.notices import KeysAssumed, NoKeyLeft, announce
from worker.words.roles import Role

KEY_SECONDS = 5.0  # how long a key is believed without a look: a revoked one opens nothing after that
KEYS_KEPT = 1024
LOOK_SECONDS = 4.0  # between looks whether the keys of open streams are still valid, where nobody says so
LINK = "answer link"
MARKS = "session marks"  # the name of a secret, not the secret


class Keyring:
    """The server's keys: its own, and those of the database.

    Args:
        host: The platform, of all organizations.
        settings: The server's own key, and its organization.
        open_without_key: Whether requests need no key while there has never been one (loopback only).
        check_open: Raises Unavailable while the database has not been reached yet.
    """

    def __init__(
        self, host: Host, settings: Settings, *, open_without_key: bool, check_open: Callable[[], None]
    ) -> None:
        self._host = host
        self._organization = settings.organization_id
        self._own = digest_of(settings.server_key.get_secret_value()) if settings.server_key else None
        self._open_without_key = open_without_key and self._own is None
        self._check_open = check_open
        self._known: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()
        self._ever = False  # there was a key: that stays so
        self._looked_until = 0.0
        self._said_none_left = False
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._sessions: dict[str, set[asyncio.Event]] = {}

    async def begin(self) -> None:
        """Say once which keys got their role without anybody choosing it; remember that there was a key."""
        assumed = await self._host.keys.assumed()
        if assumed:
            announce(KeysAssumed(tuple(key.name or key.id for key in assumed)))
        if self._own is not None:
            await self._host.keys.note()
        else:
            await self._look()

    async def admit(self, key: str | None, organization_id: str | None) -> Access:
        """Decide what a request may reach.

        Args:
            key: Its key.
            organization_id: The organization its address names.

        Raises:
            Unauthorized: The key is missing or wrong.
            NotFound: The key is another organization's.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._is_own(key):
            return self._own_access(organization_id)
        found = await self._find(key) if key else None
        if found is not None:
            return self._access(found, organization_id)
        if await self.is_open():
            return Access(self._host.organization(organization_id or self._organization))
        await self._look()  # it may be that none is left
        raise Unauthorized(description="The header x-api-key is missing or wrong.")

    async def is_open(self) -> bool:
        """Whether requests need no key: there has never been one, and the server listens on loopback alone."""
        if not self._open_without_key or self._ever:
            return False
        await self._look()
        return not self._ever

    async def may_be_open(self) -> bool:
        """The same; true where the database cannot say, and never has."""
        try:
            return await self.is_open()
        except ModuleException:
            return not self._ever

    async def mark(self, key: str) -> str:
        """What a signed session remembers of a key in its place: nobody can make a key of it.

        Raises:
            Unauthorized: The key opens nothing.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._is_own(key):
            return await self._own_mark()
        found = await self._find(key)
        if found is None:
            raise Unauthorized(description="The server does not know this key.")
        return found.id

    async def readmit(self, mark: str, organization_id: str | None) -> Access:
        """Decide what a session may reach that began with a key, as ``admit`` does; its key may be gone by now.

        Raises:
            Unauthorized: The key opens nothing any more.
            NotFound: The key is another organization's.
            Unavailable: The database is away.
        """
        self._check_open()
        if self._own is not None and hmac.compare_digest(mark, await self._own_mark()):
            return self._own_access(organization_id)
        found = await self._remembered(f"id {mark}", lambda: self._host.keys.get(mark))
        if found is None:
            raise Unauthorized(description="The key of this session opens nothing any more.")
        return self._access(found, organization_id)

    async def own_mark(self) -> str:
        """What the server's own key is remembered by; empty: it has none. Raises: Unavailable."""
        return "" if self._own is None else await self._own_mark()

    @staticmethod
    def name_of(access: Access, own_mark: str) -> str:
        """What the key behind a link is known by."""
        return own_mark if access.key == SERVER_KEY else access.key

    async def behind_link(self, by: str, organization_id: str) -> Access:
        """What a link may reach: what its key does, as long as that is valid, and no more than answers need.

        Args:
            by: What the key is known by, ``NO_KEY``, or empty where a process of the operator's made the link.
            organization_id: The organization that the link names.

        Raises:
            Unauthorized: The key opens nothing any more, or there are keys now.
            Unavailable: The database is away.
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
        """The agents that a key may call, among those of the organization of who asks."""
        try:
            its = await self.admit(key, access.organization.organization_id)
        except (Unauthorized, NotFound):
            return []
        listed = [agent.id for agent in await its.organization.tasks.list_agents()]
        both = set(listed) | set(its.agents or ()) if its.agents is not None else set(listed)
        return sorted(agent for agent in both if its.reaches(agent) and access.reaches(agent))

    @contextmanager
    def watch(self, access: Access, gone: asyncio.Event) -> Generator[None]:
        """Have an event set when what let a request in opens nothing any more: whoever has a stream open ends it."""
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
        """End what is open with a key that is not valid any more: at once where it is told of, within seconds else."""
        ending = asyncio.ensure_future(closing.wait())
        while not closing.is_set():
            mark = self._host.keys.changes()
            with suppress(ModuleException):  # the database is away: nobody can say
                await self._end_invalid()
                await self._end_signed_out()
            change = asyncio.ensure_future(self._host.keys.changed(mark, LOOK_SECONDS))
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
            for token in set(watched) - await self._host.sessions.going_on(watched):
                for gone in self._sessions.get(token, ()):
                    gone.set()

    def forget(self) -> None:
        """Look at every key anew when it is next used."""
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
            raise NotFound("This key's organization is not the one that the address names.")

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
        self._known[name] = (time.monotonic() + KEY_SECONDS, found)
        while len(self._known) > KEYS_KEPT:
            self._known.popitem(last=False)
        return found

    async def _look(self) -> None:
        """See whether there has ever been a key, and say so once there is none left that is valid."""
        if self._looked_until > time.monotonic():
            return
        self._check_open()
        valid = await self._host.keys.exist()
        self._ever = self._ever or valid or await self._host.keys.ever()
        self._looked_until = time.monotonic() + KEY_SECONDS
        none_left = self._ever and not valid and self._own is None
        if none_left and not self._said_none_left:
            announce(NoKeyLeft())
        self._said_none_left = none_left


def digest_of(key: str) -> str:
    """What is compared in the place of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
