"""Connections of an agent's tools: opened before the agent starts, and not closed while other runs use them.

Agno connects an agent's MCP servers and databases when a run begins, and disconnects them when the run ends. One agent
may serve many runs concurrently: one run could then close a connection that another uses, or start before a connection
is open. Connections are therefore opened once for all runs. A toolkit that only one run has used is closed with that
run, since a handler may create one for each task; one that several runs have used stays connected while more follow.
"""

import asyncio
import functools
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.user_code import note_missing_or_stop
from worker.current import run_in_hand
from worker.words.errors import Unavailable

CALL_CHECK_SECONDS = 1.0  # the same before a tool call, which is not repeated if it fails
CHECK_SECONDS = 5.0  # how long a connection is considered alive after it has answered
IDLE_SECONDS = 300.0  # how long a shared connection stays open without any run
PING_SECONDS = 5.0  # how long an MCP server may take to answer a ping
CLOSE_SECONDS = 10.0  # how long disconnecting may take; a client gives its server process 4 s to end

_SEEN_TO = "_agno_worker_sees_to_it"

_log = structlog.get_logger(__name__)
_servers: "WeakKeyDictionary[Any, _Server]" = WeakKeyDictionary()
_users: "WeakKeyDictionary[Any, int]" = WeakKeyDictionary()  # how many runs use a database
_counting = threading.Lock()


class _Server:
    """The connection of one MCP toolkit. A dedicated task opens and closes it, as MCP's clients require.

    Args:
        toolkit: Agno's toolkit.
        is_made_by_user_code: Whether the user's code has connected the toolkit and will disconnect it.
    """

    def __init__(self, toolkit: Any, *, is_made_by_user_code: bool = False) -> None:
        self.is_made_by_user_code = is_made_by_user_code
        self.loop = asyncio.get_running_loop()
        self._toolkit = toolkit
        self._lock = asyncio.Lock()
        self._users = 0
        self._runs = 0
        self._owner: asyncio.Task[None] | None = None
        self._is_open = asyncio.Event()
        self._closes = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._checked = 0.0

    async def use(self) -> bool:
        """Connect for a run, unless connected to a server that still answers; return whether connecting succeeded."""
        self._runs += 1
        self._users += 1
        if self._idle is not None:
            self._idle.cancel()
        return await self.connected(CHECK_SECONDS)

    async def connected(self, seconds: float) -> bool:
        """Connect, unless the server has answered within the given seconds; return whether connecting succeeded."""
        async with self._lock:
            if self._owner is not None and (self._is_ending() or not await self._is_alive(seconds)):
                await self.disconnect()
            if self._owner is None:
                self._is_open.clear()
                self._closes.clear()
                self._owner = self.loop.create_task(self._own(), context=Context())
            await self._is_open.wait()
            self._checked = self.loop.time()
            return self._toolkit.initialized

    async def leave(self) -> None:
        """Release the connection for a run: disconnect immediately if only one run used it, otherwise after a delay."""
        self._users -= 1
        if self._users:
            return
        if self._runs > 1:
            self._idle = self.loop.call_later(IDLE_SECONDS, self._closes.set)
        else:
            async with self._lock:
                await self.disconnect()

    async def disconnect(self) -> None:
        """Disconnect, even if runs still use the connection."""
        self._closes.set()
        if self._owner is not None:
            _, remaining = await asyncio.wait([self._owner], timeout=CLOSE_SECONDS)
            self._owner = None
            for task in remaining:
                task.cancel()
                _log.warning(
                    "an MCP server did not disconnect in time", toolkit=self._toolkit.name, seconds=CLOSE_SECONDS
                )

    def _is_ending(self) -> bool:
        return self._closes.is_set() or (self._owner is not None and self._owner.done())

    async def _is_alive(self, seconds: float) -> bool:
        if not self._is_open.is_set() or self.loop.time() < self._checked + seconds:
            return True
        return await _is_alive(self._toolkit)

    async def _own(self) -> None:
        try:
            await self._toolkit.connect(force=self._toolkit.initialized)  # replaces one of an ended loop
        finally:
            self._is_open.set()
        if not self._toolkit.initialized:
            return
        try:
            await self._closes.wait()
        finally:
            await self._toolkit.close()


async def connect_servers(frame: Frame, owner: Any) -> None:
    """Connect the MCP toolkits of an agent or team.

    Args:
        frame: The frame of the run.
        owner: The agent or team.

    Raises:
        Unavailable: A server cannot be reached. Without its tools, the agent would receive a different request.
    """
    for toolkit in _tools_of(owner):
        if not any(each.__name__ == "MCPTools" for each in type(toolkit).__mro__):
            continue
        server = _servers.get(toolkit)
        if server.is_made_by_user_code if server is not None else toolkit.initialized:
            continue
        if server is None or server.loop is not asyncio.get_running_loop():
            server = _servers[toolkit] = _Server(toolkit)
        frame.servers.append(server)
        if not await server.use():
            error = Unavailable(f"The MCP server {toolkit.name} cannot be reached; see the log for the reason.")
            frame.run.failures.append(error)
            raise error


def hook_sessions() -> None:
    """Hook the sessions of MCP toolkits once Agno's MCP module is imported: its dependencies may not be installed."""
    kind = getattr(sys.modules.get("agno.tools.mcp.mcp"), "MCPTools", None)
    if kind is not None and not hasattr(kind.get_session_for_run, _SEEN_TO):
        kind.get_session_for_run = _session_for_run(kind.get_session_for_run)


def _session_for_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the hook for the session of a tool call, which reconnects a session that has died with its server."""

    @functools.wraps(original)
    async def hook(self: Any, run_context: Any = None, **given: Any) -> Any:
        if run_in_hand.get() is not None:
            await _see_to(self, run_context)
        return await original(self, run_context=run_context, **given)

    setattr(hook, _SEEN_TO, True)
    return hook


async def _see_to(toolkit: Any, run_context: Any) -> None:
    """Reconnect a toolkit before a call if its server has gone.

    Raises:
        Unavailable: The server cannot be reached, and the run continues without it.
        CancelledError: The server cannot be reached, and another attempt makes the call.
    """
    run_id = getattr(run_context, "run_id", None)
    own = toolkit._run_sessions.get(run_id)  # noqa: SLF001 - a session with the run's own headers; no public access
    if own is not None:
        if not await _is_alive(own[0]):
            await toolkit.cleanup_run_session(run_id)
        return
    server = _servers.get(toolkit)
    if server is None:
        if toolkit._session_context is None or await _is_alive(toolkit):  # noqa: SLF001 - None: the user's own session
            return
        server = _servers[toolkit] = _Server(toolkit, is_made_by_user_code=True)
    if server.loop is asyncio.get_running_loop() and not await server.connected(CALL_CHECK_SECONDS):
        name = f"the MCP server {toolkit.name}"
        error = Unavailable(f"{name} cannot be reached; see the log for the reason.")
        frame = current_frame.get()
        if frame is not None:
            frame.run.failures.append(error)
        note_missing_or_stop(name, error)
        raise error


async def _is_alive(session: Any) -> bool:
    """Return whether the server of a toolkit, or of a session, answers."""
    from agno.utils.mcp import ping_session

    try:
        async with asyncio.timeout(PING_SECONDS):
            if hasattr(session, "is_alive"):
                return await session.is_alive()
            await ping_session(session)
    except Exception:  # noqa: BLE001 - any error means that the server does not answer
        return False
    return True


async def disconnect_servers(frame: Frame) -> None:
    """Release a run's MCP connections after it has ended."""
    servers, frame.servers = frame.servers, []
    for server in servers:
        await server.leave()


async def close_servers() -> None:
    """Disconnect all servers that were connected on the current event loop, which is about to end."""
    loop = asyncio.get_running_loop()
    for server in [each for each in _servers.values() if each.loop is loop]:
        await server.disconnect()


def connect_databases(frame: Frame, owner: Any) -> None:
    """Connect the toolkits of an agent or team that require it, such as those of databases."""
    for toolkit in _tools_of(owner):
        if getattr(toolkit, "requires_connect", False) and hasattr(toolkit, "connect"):
            with _counting:
                _users[toolkit] = _users.get(toolkit, 0) + 1
            frame.databases.append(toolkit)
            try:
                toolkit.connect()
            except Exception as error:  # noqa: BLE001 - like Agno, which tries again when the tool is called
                _log.warning("a toolkit could not connect", toolkit=type(toolkit).__name__, error=str(error))


def disconnect_databases(frame: Frame) -> None:
    """Disconnect a finished run's toolkits, except those that other runs use."""
    toolkits, frame.databases = frame.databases, []
    for toolkit in toolkits:
        with _counting:
            _users[toolkit] -= 1
            if _users[toolkit] or not hasattr(toolkit, "close"):
                continue
        try:
            toolkit.close()
        except Exception as error:  # noqa: BLE001 - like Agno: the run has ended regardless
            _log.warning("a toolkit could not disconnect", toolkit=type(toolkit).__name__, error=str(error))


def _tools_of(owner: Any) -> list[Any]:
    return owner.tools if isinstance(owner.tools, list) else []
