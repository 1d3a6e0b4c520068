"""One reading of a task's log for all who follow it in this process.

A feed reads the log once, encodes each event once, and keeps the newest frames. Who follows takes what he has not seen
in one piece; who has fallen behind what is kept reads the log himself until he has caught up. So nothing is buffered
for a slow reader.
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
WRITE_BYTES = 256 * 1024  # one write at the most
COMMENT_SECONDS = 15.0  # routers cut at 55 s of silence
COMMENT = b": alive\n\n"

Encode = Callable[[TaskUpdateEvent], bytes]


class Feed:
    """The log of one task, from a number on."""

    def __init__(self, organization: Organization, task_id: str, after: int, encode: Encode) -> None:
        self.organization = organization
        self.task_id = task_id
        self.encode = encode
        self.before = after  # the number before the first frame that is kept
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
        """Read no more."""
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
            except Unavailable:  # the database comes back, and the log goes on where it stood
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
        """The frames after a number, joined, and the number of the last of them."""
        size = 0
        taken: list[bytes] = []
        for frame in islice(self._frames, max(0, number - self.before), None):
            taken.append(frame)
            size += len(frame)
            if size >= WRITE_BYTES:
                break
        return b"".join(taken), number + len(taken)

    async def follow(self, after: int) -> AsyncGenerator[bytes]:
        """Everything after a number, in pieces; a comment where there is nothing for a while."""
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
            elif not await within(changed, COMMENT_SECONDS):
                yield COMMENT

    async def _catch_up(self, position: int) -> AsyncGenerator[tuple[bytes, int]]:
        """Read what is not kept any more."""
        async for piece in read(self.organization, self.task_id, position, self.encode):
            yield piece
            if piece[1] >= self.before:
                return


async def read(
    organization: Organization, task_id: str, after: int, encode: Encode
) -> AsyncGenerator[tuple[bytes, int]]:
    """What is in a task's log now after a number: pieces, each with the number of its last event."""
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
    """The feeds of this process; one lives as long as somebody follows it."""

    def __init__(self) -> None:
        self._feeds: dict[tuple[str, str, str], Feed] = {}

    @asynccontextmanager
    async def share(
        self, organization: Organization, task_id: str, after: int, told_as: str, encode: Encode
    ) -> AsyncGenerator[Feed]:
        """A feed of a task, shared with all who see the same frames."""
        key = organization.organization_id, task_id, told_as
        feed = self._feeds.get(key)
        if feed is None or feed.over:
            feed = self._feeds[key] = Feed(organization, task_id, after, encode)
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
        """End all."""
        for feed in tuple(self._feeds.values()):
            await feed.close()
