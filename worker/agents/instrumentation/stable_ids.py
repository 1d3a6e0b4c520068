"""Ids that Agno makes up at random, made so that every attempt makes up the same.

An agent without name and id gets one such as ``fair-goodall-ca88796d``. A team's leader is told its members' ids, and
its answers in the journal name them: so they follow from what the agent is set to do, and from its place among the
members. Within a tool call, ids follow from the call.
"""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from worker.agents.instrumentation.frames import frame_in_hand
from worker.current import call_in_hand

SPACE = UUID("4b2f5a9e-3a0c-4f0e-9d57-0b6f4c1f6a2d")  # of the ids made here; any fixed one would do

FENCE = re.compile(r'nonce="([0-9a-f]{16,})">\Z')
"""The end of what Agno fences, with the word that nobody could know (agno/scorer/_fence.py)."""
MOST_IDS = 10_000  # that are known to be made up; a process has a handful of agents without name and id

_seed: ContextVar[Callable[[], str] | None] = ContextVar("seed_of_ids", default=None)
_made_up: dict[str, None] = {}


def is_made_up(owner: Any) -> bool:
    """Whether an agent's id was made up, here or by Agno, so that the user does not know it."""
    return owner.id in _made_up


def remember(made: str) -> None:
    """Know an id as made up."""
    _made_up[made] = None
    if len(_made_up) > MOST_IDS:
        del _made_up[next(iter(_made_up))]


def give_id(owner: Any, config: Callable[[], str], taken: set[str] | None = None) -> None:
    """Give an id to an agent, team or workflow that has neither name nor id.

    Args:
        owner: It is given the id for good, as Agno does.
        config: Makes a digest of what it is set to do.
        taken: Ids that others beside it have.
    """
    number = 0
    while (made := _readable(f"{config()}.{number}")) in (taken or ()):
        number += 1
    owner.id = made
    remember(made)


@contextmanager
def seeded(seed: Callable[[], str]) -> Generator[None]:
    """Have ids that are made meanwhile follow from a seed."""
    token = _seed.set(seed)
    try:
        yield
    finally:
        _seed.reset(token)


def made_of(seed: str) -> UUID:
    """The id that follows from a seed."""
    return uuid5(SPACE, seed)


def uuid4_or_stable(original: Callable[[], UUID]) -> Callable[[], UUID]:
    """Make what takes the place of ``uuid4`` in a module of Agno's: random, unless a seed or a call is in hand."""

    def uuid4() -> UUID:
        seed, frame, key = _seed.get(), frame_in_hand.get(), call_in_hand.get()
        if seed is not None:
            return made_of(seed())
        if frame is None or key is None:
            return original()
        frame.made_ids += 1
        return made_of(f"{key()}:{frame.made_ids}")

    return uuid4


def fence(original: Callable[..., str]) -> Callable[..., str]:
    """Make what fences a text that a judge is shown: with a word that follows from the text, where Agno's is random.

    Every attempt asks the same then. No text can contain the word that follows from it.
    """

    def fence_untrusted(text: str, **options: Any) -> str:
        made = original(text, **options)
        frame, found = frame_in_hand.get(), FENCE.search(made)
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
