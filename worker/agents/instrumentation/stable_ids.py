"""Ids and times that Agno makes up, made the same in every attempt.

An agent without name and id gets an id such as ``fair-goodall-ca88796d``. A team's leader receives its members' ids,
and its answers in the journal contain them. Such ids are therefore derived from the agent's configuration, and from its
position among the members. Within a tool call, ids are derived from the call.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from worker.agents.instrumentation.frames import current_frame
from worker.current import current_call_key

SPACE = UUID("4b2f5a9e-3a0c-4f0e-9d57-0b6f4c1f6a2d")  # namespace of the derived ids; any fixed one would do

FENCE = re.compile(r'nonce="([0-9a-f]{16,})">\Z')
"""The end of a text that Agno has fenced, with an unpredictable nonce (agno/scorer/_fence.py)."""
MAX_IDS = 10_000  # limit on remembered generated ids; a process has a handful of agents without name and id

_seed: ContextVar[Callable[[], str] | None] = ContextVar("seed_of_ids", default=None)
_made_up: dict[str, None] = {}


def is_generated(owner: Any) -> bool:
    """Return whether an agent's id was generated, here or by Agno, and is thus unknown to the user."""
    return owner.id in _made_up


def remember(made: str) -> None:
    """Remember an id as generated."""
    _made_up[made] = None
    if len(_made_up) > MAX_IDS:
        del _made_up[next(iter(_made_up))]


def give_id(owner: Any, config: Callable[[], str], taken: set[str] | None = None) -> None:
    """Give an id to an agent, team or workflow that has neither name nor id.

    Args:
        owner: The object, which keeps the id permanently, as with Agno.
        config: Computes a digest of its configuration.
        taken: Ids of its siblings.
    """
    number = 0
    while (made := _readable(f"{config()}.{number}")) in (taken or ()):
        number += 1
    owner.id = made
    remember(made)


@contextmanager
def seeded(seed: Callable[[], str]) -> Generator[None]:
    """Derive ids generated inside the block from a seed."""
    token = _seed.set(seed)
    try:
        yield
    finally:
        _seed.reset(token)


def id_from_seed(seed: str) -> UUID:
    """Return the id derived from a seed."""
    return uuid5(SPACE, seed)


def uuid4_or_stable(original: Callable[[], UUID]) -> Callable[[], UUID]:
    """Make the replacement of ``uuid4`` in a module of Agno: random, unless a seed or a current call is set."""

    def uuid4() -> UUID:
        seed, frame, key = _seed.get(), current_frame.get(), current_call_key.get()
        if seed is not None:
            return id_from_seed(seed())
        if frame is None or key is None:
            return original()
        frame.made_ids += 1
        return id_from_seed(f"{key()}:{frame.made_ids}")

    return uuid4


def time_or_stable(original: Callable[[], float]) -> Callable[[], float]:
    """Make the replacement of ``time`` in a module of Agno: in a call that every attempt makes, when the first began.

    What Agno creates in such a call, and keeps in the session's state, is then the same in every attempt.
    """

    def time() -> float:
        frame = current_frame.get()
        return original() if frame is None or frame.began is None else frame.began

    return time


def fence(original: Callable[..., str]) -> Callable[..., str]:
    """Make the hook for fencing a text for a judge, with a nonce that is derived from the text instead of random.

    Every attempt then makes the same request. A text cannot contain the nonce that is derived from it.
    """

    def fence_untrusted(text: str, **options: Any) -> str:
        made = original(text, **options)
        frame, found = current_frame.get(), FENCE.search(made)
        if frame is None or found is None:
            return made
        word = sha256(f"{frame.run.record.id} {text}".encode(errors="surrogatepass")).hexdigest()
        return made.replace(found[1], word[: len(found[1])])

    return fence_untrusted


@cache
def _readable(seed: str) -> str:
    from agno.utils.names import generate_human_readable_id

    with seeded(lambda: seed):
        return generate_human_readable_id()
