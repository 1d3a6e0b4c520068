"""Webhooks: another service is told of each finished task, signed as https://www.standardwebhooks.com says.

A module of two lines in ``handlers/`` switches them on; see ``Webhooks``. Importing this loads no httpx.
"""

from worker.webhooks.webhooks import DAY, Webhooks

__all__ = ["DAY", "Webhooks"]
