"""The protocols that all code above the platforms uses: one method for each verb.

There are two implementations: the Engine (PostgreSQL) and Remote (HTTP). One suite of tests, ``tests/contract``, runs
against both.
"""

from worker.contracts.access import AccessRule, AccessScope
from worker.contracts.audit import Audit
from worker.contracts.clients import Tasks
from worker.contracts.deliveries import Deliveries
from worker.contracts.hosts import Admin, Host, HostedWork, NamedTasks, Organization
from worker.contracts.keys import RESERVED_ORGANIZATIONS, Key, KeyAdmin, Keys, check_organization
from worker.contracts.knowledge import Embed, Knowledge
from worker.contracts.platforms import Capabilities, Platform
from worker.contracts.presence import (
    NO_KEY,
    SERVER_KEY,
    Claimant,
    ClaimedDelivery,
    ClaimedTask,
    Presence,
    WorkerSession,
    WorkerState,
)
from worker.contracts.sessions import Sessions
from worker.contracts.stats import AgentStats, Countable, Stats
from worker.contracts.uploads import Uploads
from worker.contracts.workers import Work

__all__ = [
    "NO_KEY",
    "RESERVED_ORGANIZATIONS",
    "SERVER_KEY",
    "AccessRule",
    "AccessScope",
    "Admin",
    "AgentStats",
    "Audit",
    "Capabilities",
    "Claimant",
    "ClaimedDelivery",
    "ClaimedTask",
    "Countable",
    "Deliveries",
    "Embed",
    "Host",
    "HostedWork",
    "Key",
    "KeyAdmin",
    "Keys",
    "Knowledge",
    "NamedTasks",
    "Organization",
    "Platform",
    "Presence",
    "Sessions",
    "Stats",
    "Tasks",
    "Uploads",
    "Work",
    "WorkerSession",
    "WorkerState",
    "check_organization",
]
