"""Hooks within Agno that make its calls part of a run of the worker; they are inactive outside a run.

``install`` installs them. ``frames`` tracks the position of code within a run; ``model_calls``, ``tool_calls``,
``runs`` and ``sessions`` implement the hooks; ``records`` and ``stable_ids`` make Agno's stored records and generated
ids the same in every attempt.
"""

from worker.agents.instrumentation.frames import Frame, current_frame, within
from worker.agents.instrumentation.install import install, installed, missing

__all__ = ["Frame", "current_frame", "install", "installed", "missing", "within"]
