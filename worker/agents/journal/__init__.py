"""The journal of a task: what its attempts have completed, so that a later attempt does not do it again.

What belongs here: which calls are the same call (``scopes``), how a completed call is stored (``rows``), what an
attempt still has to answer from (``journal``), in which order it answers (``order``), and what it writes only if it
goes on (``deferred``). Nothing here knows Agno: values are whatever JSON can say.
"""

from worker.agents.journal.deferred import Deferred
from worker.agents.journal.journal import Journal
from worker.agents.journal.notes import answers_again, discard_text, not_reused, too_large
from worker.agents.journal.order import ReplayOrder
from worker.agents.journal.rows import VALUE_BYTES, Entry, Kind, Number
from worker.agents.journal.scopes import CallSite, Identity, Scope

__all__ = [
    "VALUE_BYTES",
    "CallSite",
    "Deferred",
    "Entry",
    "Identity",
    "Journal",
    "Kind",
    "Number",
    "ReplayOrder",
    "Scope",
    "answers_again",
    "discard_text",
    "not_reused",
    "too_large",
]
