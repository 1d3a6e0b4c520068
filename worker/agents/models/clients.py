"""Clients that Agno's models open and keep: a client belongs to the event loop that opened it, a model to its user."""

import asyncio
import contextlib
import inspect
from dataclasses import dataclass
from typing import Any
from weakref import ref

from worker.agents.models import bedrock, documents

ATTRIBUTES = {"async_client": "get_async_client", "client": "get_client"}
"""Attributes in which models keep their clients, and the methods that open them."""


@dataclass(slots=True)
class _Opened:
    """The clients that Agno opens for a model because its user passed none, and the event loop that they belong to."""

    model: "ref[Any]"
    loop: asyncio.AbstractEventLoop
    attributes: list[str]


_opened: dict[int, _Opened] = {}  # by the model's id: models are not hashable
_abandoned: list[
    Any
] = []  # clients of loops that have ended; garbage-collected, they would try to close on the current loop
_agnos: "list[asyncio.AbstractEventLoop]" = []  # the loop of the client that several of Agno's providers share


def open_client(model: Any) -> None:
    """Make a model open its client on the model itself, so that copies of the model do not each open their own.

    Errors here, such as a missing key, recur and are reported when the model is called.
    """
    with contextlib.suppress(RuntimeError):  # no event loop is running
        prepare_client(model)
    for attribute, getter in ATTRIBUTES.items():
        if attribute in model.__dict__ and hasattr(model, getter):
            if model.__dict__[attribute] is None:
                disable_retries(model, attribute)
            return


def disable_retries(model: Any, attribute: str) -> None:
    """Open a model's client, unless it is open, and turn off its retries: only one layer, the worker, should retry.

    Its responses are examined for documents in place of streams, which the client would not notice.

    The user's configuration takes precedence: their own client, or ``max_retries`` of the model or among its client's
    parameters. The clients of OpenAI, Anthropic, Groq, Cohere and LiteLLM retry twice by default, Google's once after
    up to ten seconds, Bedrock's four times, and they occupy the task's slot meanwhile.

    Args:
        model: Agno's model.
        attribute: The attribute that holds the client: ``async_client`` or ``client``.
    """
    if attribute not in model.__dict__:
        attribute = "client"  # Google's client serves sync and async calls
    if hasattr(model, "async_session"):
        bedrock.disable_retries(model)
        return
    getter = ATTRIBUTES[attribute]
    if model.__dict__.get(attribute, model) is not None or not hasattr(model, getter):
        return
    with contextlib.suppress(Exception):  # errors are reported when the model is called
        client = getattr(model, getter)()
        if getattr(client, "__name__", "") == "litellm":
            model.client = OneRequest(client)
            return
        documents.watch(getattr(client, "_client", None))
        parameters: dict[str, Any] = getattr(model, "client_params", None) or {}
        is_own = getattr(model, "max_retries", None) is None and "max_retries" not in parameters
        if is_own and isinstance(getattr(client, "max_retries", None), int):
            client.max_retries = 0
        requests: Any = getattr(getattr(client, "_client_wrapper", None), "httpx_client", None)  # Cohere's HTTP client
        if is_own and isinstance(getattr(requests, "base_max_retries", None), int):
            requests.base_max_retries = 0
        options: Any = getattr(getattr(client, "_api_client", None), "_http_options", None)
        if getattr(options, "retry_options", client) is None:
            options.retry_options = type(options)(retry_options={"attempts": 1}).retry_options


class OneRequest:
    """The LiteLLM module, with a single request per call unless the number of retries is configured.

    Args:
        module: The module.
    """

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def completion(self, **options: Any) -> Any:
        """Call the model synchronously."""
        return self._module.completion(**self._once(options))

    async def acompletion(self, **options: Any) -> Any:
        """Async version of ``completion``."""
        return await self._module.acompletion(**self._once(options))

    def _once(self, options: dict[str, Any]) -> dict[str, Any]:
        said = {"max_retries", "num_retries"} & options.keys() or getattr(self._module, "num_retries", None)
        return options if said else {**options, "max_retries": 0}


def prepare_client(model: Any) -> None:
    """Make a model open a new client if Agno opened the current one on an event loop that has ended."""
    loop = asyncio.get_running_loop()
    key = id(model)
    known = _opened.get(key)
    if known is None:
        attributes = [each for each in ATTRIBUTES if model.__dict__.get(each, model) is None]
        _opened[key] = _Opened(ref(model, lambda _: _opened.pop(key, None)), loop, attributes)
        _forget_agnos(loop)
    elif known.loop is not loop and known.loop.is_closed():
        _abandoned.extend(_taken_off(model, known))
        known.loop = loop
        _forget_agnos(loop)


async def close_clients() -> None:
    """Close the clients that were opened on the current event loop, which is about to end."""
    loop = asyncio.get_running_loop()
    for known in [each for each in _opened.values() if each.loop is loop]:
        for client in _taken_off(known.model(), known):
            with contextlib.suppress(Exception):
                closing = client.close()
                if inspect.isawaitable(closing):
                    await closing


def _taken_off(model: Any, known: _Opened) -> list[Any]:
    """Remove the clients that Agno has opened from a model and return them."""
    clients = [getattr(model, each, None) for each in known.attributes]
    for each in known.attributes if model is not None else ():
        setattr(model, each, None)
    return [each for each in clients if each is not None]


def _forget_agnos(loop: asyncio.AbstractEventLoop) -> None:
    """Make Agno reopen its shared client if the client belongs to a loop that has ended."""
    from agno.utils import http

    if _agnos and _agnos[0] is not loop and _agnos[0].is_closed():
        _abandoned.append(http._global_async_client)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        http._global_async_client = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        _agnos.clear()
    if not _agnos:
        _agnos.append(loop)
