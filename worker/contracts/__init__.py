"""The protocols that everything above the platforms talks to: one sentence a verb.

Two implementations obey them: the Engine (PostgreSQL) and Remote (HTTP). One behavioural suite, ``tests/contract``,
runs the same sentences against both.
"""

from worker.contracts.clients import Tasks
from worker.contracts.deliveries import Deliveries
from worker.contracts.hosts import Admin, Host, NamedTasks, RemoteWork, Room
from worker.contracts.keys import RESERVED_ORGANIZATIONS, Key, Keys, check_organization
from worker.contracts.platforms import Capabilities, Platform
from worker.contracts.presence import HeldDelivery, HeldTask, Presence, WorkerState
from worker.contracts.sessions import Sessions
from worker.contracts.standing import AgentStanding, Countable, Standing
from worker.contracts.workers import Work

__all__ = [
    "RESERVED_ORGANIZATIONS",
    "Admin",
    "AgentStanding",
    "Capabilities",
    "Countable",
    "Deliveries",
    "HeldDelivery",
    "HeldTask",
    "Host",
    "Key",
    "Keys",
    "NamedTasks",
    "Platform",
    "Presence",
    "RemoteWork",
    "Room",
    "Sessions",
    "Standing",
    "Tasks",
    "Work",
    "WorkerState",
    "check_organization",
]
