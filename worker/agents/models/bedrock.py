"""Clients of Bedrock, which Agno opens for each call: like other clients, they leave retries to the worker.

By default, botocore sends up to five requests per call and occupies the task's slot meanwhile.
"""

import functools
import inspect
from typing import Any

from worker.current import run_in_hand

MODULE = "agno.models.aws.bedrock"

_DONE = "_agno_worker_retries"  # marks Agno's class as patched

_DEFAULT = {"mode": "legacy"}
"""Botocore's retry setting if nothing configures it: no argument, no file, no environment variable."""


def disable_retries(model: Any) -> None:
    """Make the clients that Agno opens for a Bedrock model send a single request per call.

    The user's configuration takes precedence (``AWS_MAX_ATTEMPTS``, ``AWS_RETRY_MODE``, a profile, their own client).
    """
    for kind in type(model).__mro__:
        if kind.__module__ == MODULE and "get_async_client" in vars(kind) and not hasattr(kind, _DONE):
            setattr(kind, _DONE, True)
            for name in ("get_client", "get_async_client"):
                setattr(kind, name, _once(getattr(kind, name)))


def _once(original: Any) -> Any:
    @functools.wraps(original)
    def opened(self: Any) -> Any:
        is_own = original.__name__ == "get_client" and self.client is not None and not self.session
        client = original(self)
        if run_in_hand.get() is None or is_own:
            return client
        return _Opening(client) if inspect.isawaitable(client) or hasattr(client, "__aenter__") else _without(client)

    return opened


class _Opening:
    """A client that is opened on entry."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening

    async def __aenter__(self) -> Any:
        return _without(await self._opening.__aenter__())

    async def __aexit__(self, *raised: object) -> Any:
        return await self._opening.__aexit__(*raised)


def _without(client: Any) -> Any:
    if client.meta.config.retries == _DEFAULT:
        name = client.meta.service_model.service_id.hyphenize()
        client.meta.events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
    return client
