"""What makes Agno's calls part of a run of ours: hooks within Agno, idle outside a run.

``install`` puts them in. ``frames`` knows where in a run code stands; ``model_calls``, ``tool_calls``, ``runs`` and
``sessions`` do what the hooks are for; ``records`` and ``stable_ids`` keep what Agno writes, and the ids that it makes
up, the same in every attempt.
"""

from worker.agents.instrumentation.frames import Frame, frame_in_hand, within
from worker.agents.instrumentation.install import install, installed, missing

__all__ = ["Frame", "frame_in_hand", "install", "installed", "missing", "within"]
