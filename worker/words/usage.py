"""The usage of agent runs, counted while they run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from worker.words.finish import FinishReason
from worker.words.tasks import Tokens


@dataclass(slots=True)
class Usage:
    """The usage of a run: tokens of all its models, tools in order of first use, and why its answer ended."""

    prompt: int = 0
    completion: int = 0
    cache_read: int = 0
    cache_write: int = 0
    tools: dict[str, None] = field(default_factory=dict[str, None])
    finish: FinishReason | None = None

    def add(self, usage: Sequence[int]) -> None:
        """Add the tokens of one answer, given in the order of the fields."""
        prompt, completion, cache_read, cache_write = usage
        self.prompt += prompt
        self.completion += completion
        self.cache_read += cache_read
        self.cache_write += cache_write

    def take(self, usage: Sequence[int], tools: Sequence[str]) -> None:
        """Add the usage of a whole run."""
        self.add(usage)
        self.tools |= dict.fromkeys(tools)

    def counted(self) -> list[int]:
        """Return the tokens in the order of the fields."""
        return [self.prompt, self.completion, self.cache_read, self.cache_write]

    def tokens(self) -> Tokens:
        """Return the tokens as a task stores them."""
        return Tokens(
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            cache_read_tokens=self.cache_read,
            cache_write_tokens=self.cache_write,
        )


def sum_of(counts: Iterable[Sequence[int]]) -> Tokens:
    """Return the total tokens of several answers or runs, each given in the order of the fields."""
    usage = Usage()
    for each in counts:
        usage.add(each)
    return usage.tokens()
