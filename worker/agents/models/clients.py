"""Clients that Agno's models open and keep: they belong to the event loop that opened them, models to their user."""

import asyncio
import contextlib
import inspect
from dataclasses import dataclass
from typing import Any
from weakref import ref

from worker.agents.models import bedrock

ATTRIBUTES = {"async_client": "get_async_client", "client": "get_client"}
"""Where models keep their clients, and what opens them."""


@dataclass(slots=True)
class _Opened:
    """Which clients Agno opens for a model, since its user has given none, and the loop that it does so on."""

    model: "ref[Any]"
    loop: asyncio.AbstractEventLoop
    attributes: list[str]


_opened: dict[int, _Opened] = {}  # by the model's id: models are not hashable
_abandoned: list[
    Any
] = []  # clients of loops that have ended; when they are collected, they would try to close on this one
_agnos: "list[asyncio.AbstractEventLoop]" = []  # the loop of the client that Agno's models of several providers share


def open_client(model: Any) -> None:
    """Have a model open its client where Agno keeps it, on the model: else every copy opens one of its own.

    What goes wrong here (a missing key) goes wrong again, and is reported, where the model is called.
    """
    with contextlib.suppress(RuntimeError):  # no loop runs
        prepare_client(model)
    for attribute, getter in ATTRIBUTES.items():
        if attribute in model.__dict__ and hasattr(model, getter):
            if model.__dict__[attribute] is None:
                leave_retries(model, attribute)
            return


def leave_retries(model: Any, attribute: str) -> None:
    """Open a model's client, if Agno has not, and have it leave retries to the worker: it is one layer that retries.

    What the user has configured stands: a client of their own, ``max_retries`` of the model or among its client's
    parameters. The clients of OpenAI, Anthropic, Groq, Cohere and LiteLLM retry twice by default, Google's once after
    up to ten seconds, Bedrock's four times, and hold the task's slot meanwhile.

    Args:
        model: Agno's.
        attribute: Where it keeps the client: ``async_client`` or ``client``.
    """
    if attribute not in model.__dict__:
        attribute = "client"  # Google's is for both
    if hasattr(model, "async_session"):
        bedrock.leave_retries(model)
        return
    getter = ATTRIBUTES[attribute]
    if model.__dict__.get(attribute, model) is not None or not hasattr(model, getter):
        return
    with contextlib.suppress(Exception):  # what is wrong is reported where the model is called
        client = getattr(model, getter)()
        if getattr(client, "__name__", "") == "litellm":
            model.client = OneRequest(client)
            return
        parameters: dict[str, Any] = getattr(model, "client_params", None) or {}
        is_own = getattr(model, "max_retries", None) is None and "max_retries" not in parameters
        if is_own and isinstance(getattr(client, "max_retries", None), int):
            client.max_retries = 0
        requests: Any = getattr(getattr(client, "_client_wrapper", None), "httpx_client", None)  # Cohere's
        if is_own and isinstance(getattr(requests, "base_max_retries", None), int):
            requests.base_max_retries = 0
        options: Any = getattr(getattr(client, "_api_client", None), "_http_options", None)
        if getattr(options, "retry_options", client) is None:
            options.retry_options = type(options)(retry_options={"attempts": 1}).retry_options


class OneRequest:
    """LiteLLM, a module, where a call makes one request unless somebody has said how many.

    Args:
        module: The module.
    """

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def completion(self, **options: Any) -> Any:
        """Ask as plain code does."""
        return self._module.completion(**self._once(options))

    async def acompletion(self, **options: Any) -> Any:
        """Ask, and await the answer."""
        return await self._module.acompletion(**self._once(options))

    def _once(self, options: dict[str, Any]) -> dict[str, Any]:
        said = {"max_retries", "num_retries"} & options.keys() or getattr(self._module, "num_retries", None)
        return options if said else {**options, "max_retries": 0}


def prepare_client(model: Any) -> None:
    """Have a model open a new client if Agno opened its own on an event loop that has ended."""
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
    """Close the clients that were opened on this event loop, which is about to end."""
    loop = asyncio.get_running_loop()
    for known in [each for each in _opened.values() if each.loop is loop]:
        for client in _taken_off(known.model(), known):
            with contextlib.suppress(Exception):
                closing = client.close()
                if inspect.isawaitable(closing):
                    await closing


def _taken_off(model: Any, known: _Opened) -> list[Any]:
    """Take the clients that Agno has opened off a model; returns them."""
    clients = [getattr(model, each, None) for each in known.attributes]
    for each in known.attributes if model is not None else ():
        setattr(model, each, None)
    return [each for each in clients if each is not None]


def _forget_agnos(loop: asyncio.AbstractEventLoop) -> None:
    """Have Agno open its shared client anew if that belongs to a loop that has ended."""
    from agno.utils import http

    if _agnos and _agnos[0] is not loop and _agnos[0].is_closed():
        _abandoned.append(http._global_async_client)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        http._global_async_client = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        _agnos.clear()
    if not _agnos:
        _agnos.append(loop)
