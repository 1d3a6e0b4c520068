"""Running Agno agents on tasks.

Agno itself is imported only when an agent is run. Its telemetry, a background HTTP request for every run, is off unless
the environment enables it.
"""

import os

os.environ.setdefault("AGNO_TELEMETRY", "false")
