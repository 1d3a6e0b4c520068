"""What a session of ours is told before it does anything, whatever a role, a database or a server has set."""

from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

LEAVE_NO_LOCK = "select set_config('idle_in_transaction_session_timeout', '5s', %s)"
"""A process that is frozen, or whose handler blocks the loop, in the middle of a transaction loses the connection: else
it would hold locks on its tasks for ever, and whoever wants to rescue them would wait with all that he has to write."""

SESSION: LiteralString = """
    select set_config('idle_in_transaction_session_timeout', '5s', false),
           set_config('plan_cache_mode', 'force_custom_plan', false),
           set_config('jit', 'off', false)
"""
"""Why, beside the locks: a generic plan of a prepared statement that was made while the tables were small stays until
they are analyzed, and reads them through meanwhile: 200 tasks a second in place of 3,000. Planning each time costs
less. Compiling (jit) costs more than statements as short as ours take."""


async def prepare(connection: "AsyncConnection[Any]") -> None:
    """Set a session up. Behind a transaction pooler it must not be: it is somebody else's session next."""
    await connection.execute(SESSION)


def prepare_sync(connection: "Connection[Any]") -> None:
    """Set a blocking connection's session up."""
    connection.execute(SESSION)
