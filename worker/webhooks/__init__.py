"""Webhooks that notify another service of each finished task, signed according to https://www.standardwebhooks.com.

A short module in ``handlers/`` enables them; see ``Webhooks``. Importing this package does not load httpx.
"""

from worker.webhooks.webhooks import DAY, Webhooks

__all__ = ["DAY", "Webhooks"]
