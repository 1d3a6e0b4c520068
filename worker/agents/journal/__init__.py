"""The journal of a task: the calls its attempts have completed, so that a later attempt does not repeat them.

This package identifies repeated calls (``scopes``), stores completed calls (``rows``), tracks the answers that an
attempt can still use (``journal``) and their order (``order``), and defers rows that are needed only if the attempt
continues (``deferred``). Nothing here knows about Agno: values are plain JSON.
"""

from worker.agents.journal.deferred import Deferred
from worker.agents.journal.journal import Journal
from worker.agents.journal.notes import discard_text, not_reused, superseded_answer, too_large
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
    "discard_text",
    "not_reused",
    "superseded_answer",
    "too_large",
]
