"""The randomness of the long stories: printed, and the same again where ``CRASH_SEED`` says so."""

import os
import random
import time

SEED = int(os.environ.get("CRASH_SEED") or time.time_ns() % 1_000_000)
SCALE = float(os.environ.get("CRASH_SCALE") or 1)
"""How large the stories are; 0.1 for a quick look."""


def chance_of(story: str) -> random.Random:
    """A story's own randomness, whatever ran before it."""
    print(f"\n{story}: CRASH_SEED={SEED} CRASH_SCALE={SCALE:g}", flush=True)  # noqa: T201 - to have it again
    return random.Random(f"{SEED} {story}")


def scaled(count: int) -> int:
    """How many of something, at this scale."""
    return max(2, round(count * SCALE))


def told(text: str) -> None:
    """Tell a figure of a story."""
    print(f"  {text}", flush=True)  # noqa: T201 - a story tells its figures
