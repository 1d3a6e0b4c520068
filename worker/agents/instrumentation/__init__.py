"""Hooks within Agno that make its calls part of a run of the worker; they are inactive outside a run.

``install`` installs them, and ``hooks.table`` lists them. ``frames`` tracks the position of code within a run. What the
hooks do is in the packages: ``runs``, ``steps``, ``model_calls``, ``tool_calls`` and ``storage``. ``identities`` and
``stable_ids`` make names and ids the same in every attempt; ``sync_code``, ``user_code``, ``other_loops``, ``exits``
and ``time_limits`` deal with the user's code within a run.
"""

from worker.agents.instrumentation.frames import Frame, current_frame, within
from worker.agents.instrumentation.install import install, installed, missing

__all__ = ["Frame", "current_frame", "install", "installed", "missing", "within"]
