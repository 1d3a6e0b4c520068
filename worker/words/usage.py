"""What runs of agents use, counted while they go on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from worker.words.finish import FinishReason
from worker.words.tasks import Tokens


@dataclass(slots=True)
class Usage:
    """What a run uses: tokens of all its models, and tools in order of first use; and why its answer ended."""

    prompt: int = 0
    completion: int = 0
    cache_read: int = 0
    cache_write: int = 0
    tools: dict[str, None] = field(default_factory=dict[str, None])
    finish: FinishReason | None = None

    def add(self, usage: Sequence[int]) -> None:
        """Count the tokens of one answer, in the order of the fields."""
        prompt, completion, cache_read, cache_write = usage
        self.prompt += prompt
        self.completion += completion
        self.cache_read += cache_read
        self.cache_write += cache_write

    def take(self, usage: Sequence[int], tools: Sequence[str]) -> None:
        """Count what a whole run has used."""
        self.add(usage)
        self.tools |= dict.fromkeys(tools)

    def counted(self) -> list[int]:
        """The tokens, in the order of the fields."""
        return [self.prompt, self.completion, self.cache_read, self.cache_write]

    def tokens(self) -> Tokens:
        """The same as the task has them."""
        return Tokens(
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            cache_read_tokens=self.cache_read,
            cache_write_tokens=self.cache_write,
        )


def sum_of(counts: Iterable[Sequence[int]]) -> Tokens:
    """The tokens of several answers or runs, each in the order of the fields."""
    usage = Usage()
    for each in counts:
        usage.add(each)
    return usage.tokens()
