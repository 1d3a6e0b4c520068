"""What runs an Agno agent on a task.

Agno itself is imported only when something is run. Its telemetry, an HTTP request in the background of every run, is
off unless the environment asks for it.
"""

import os

os.environ.setdefault("AGNO_TELEMETRY", "false")
