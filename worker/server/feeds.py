"""Shared reading of task logs for all followers in this process.

A feed reads a task's log once, encodes each event once, and buffers the newest frames. A follower takes all frames that
it has not seen in one chunk; one that has fallen behind the buffer reads the log itself until it has caught up. Slow
readers therefore need no buffers of their own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import islice

from worker.contracts import Organization
from worker.contracts.waiting import SOON, within
from worker.words.errors import ModuleException, Unavailable
from worker.words.events import TaskUpdateEvent

FRAMES_KEPT = 4096
BYTES_KEPT = 4 * 1024 * 1024
WRITE_BYTES = 256 * 1024  # largest single write
COMMENT = b": alive\n\n"

Encode = Callable[[TaskUpdateEvent], bytes]


class Feed:
    """The log of one task, starting after an event number."""

    def __init__(self, organization: Organization, task_id: str, after: int, encode: Encode, silence: float) -> None:
        self.organization = organization
        self.task_id = task_id
        self.encode = encode
        self.silence = silence
        self.before = after  # the number before the first buffered frame
        self.over = False
        self.changed = asyncio.Event()
        self.followers = 0
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._task = asyncio.get_running_loop().create_task(self._read(), name="feed")

    @property
    def last(self) -> int:
        """The number of the newest frame."""
        return self.before + len(self._frames)

    async def close(self) -> None:
        """Stop reading the log."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        pauses = SOON.pauses()
        while not self.over:
            try:
                async with aclosing(self.organization.tasks.events(self.task_id, after=self.last)) as events:  # type: ignore[type-var] # every implementation is a generator
                    async for event in events:
                        pauses.reset()
                        self._keep(self.encode(event))
                self.over = True
            except Unavailable:  # reading resumes after the last frame, once the database is back
                await asyncio.sleep(pauses.next())
            except ModuleException:
                self.over = True
        self._wake()

    def _keep(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > FRAMES_KEPT or (self._bytes > BYTES_KEPT and len(self._frames) > 1):
            self._bytes -= len(self._frames.popleft())
            self.before += 1
        self._wake()

    def _wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def since(self, number: int) -> tuple[bytes, int]:
        """Return the buffered frames after a number, as many as fit one write, and the number of the last of them."""
        size = 0
        taken: list[bytes] = []
        for frame in islice(self._frames, max(0, number - self.before), None):
            taken.append(frame)
            size += len(frame)
            if size >= WRITE_BYTES:
                break
        return b"".join(taken), number + len(taken)

    async def follow(self, after: int) -> AsyncGenerator[bytes]:
        """Yield all events after a number in chunks, and a comment after each silence."""
        position = after
        while True:
            if position < self.before:
                async for piece, number in self._catch_up(position):
                    yield piece
                    position = number
                continue
            changed = self.changed
            piece, position = self.since(position)
            if piece:
                yield piece
            elif self.over:
                return
            elif not await within(changed, self.silence):
                yield COMMENT

    async def _catch_up(self, position: int) -> AsyncGenerator[tuple[bytes, int]]:
        """Yield the frames that are no longer buffered."""
        async for piece in read(self.organization, self.task_id, position, self.encode):
            yield piece
            if piece[1] >= self.before:
                return


async def read(
    organization: Organization, task_id: str, after: int, encode: Encode
) -> AsyncGenerator[tuple[bytes, int]]:
    """Yield a task's current log after a number, in chunks, each with the number of its last event."""
    frames: list[bytes] = []
    size, position = 0, after
    async with aclosing(organization.tasks.events(task_id, after=after, follow=False)) as events:  # type: ignore[type-var] # every implementation is a generator
        async for event in events:
            frames.append(encode(event))
            size += len(frames[-1])
            position = event.number or position
            if size >= WRITE_BYTES:
                yield b"".join(frames), position
                frames, size = [], 0
    if frames:
        yield b"".join(frames), position


class Feeds:
    """The feeds of this process. A feed is closed when its last follower leaves.

    Args:
        silence: Seconds without an event after which followers get a comment.
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._feeds: dict[tuple[str, str, str], Feed] = {}

    @asynccontextmanager
    async def share(
        self, organization: Organization, task_id: str, after: int, reader_key: str, encode: Encode
    ) -> AsyncGenerator[Feed]:
        """Yield a feed of a task, shared with all followers that get identical frames.

        Args:
            organization: The organization of the task.
            task_id: The task.
            after: The number of the event after which a new feed starts.
            reader_key: Identifies readers who get identical frames.
            encode: Converts an event to a frame.
        """
        key = organization.organization_id, task_id, reader_key
        feed = self._feeds.get(key)
        if feed is None or feed.over:
            feed = self._feeds[key] = Feed(organization, task_id, after, encode, self._silence)
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                if self._feeds.get(key) is feed:
                    del self._feeds[key]
                await feed.close()

    async def close(self) -> None:
        """Close all feeds."""
        for feed in tuple(self._feeds.values()):
            await feed.close()
