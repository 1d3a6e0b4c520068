"""Work on hostile data in child processes, bounded in time, memory and size of the answer.

Some untrusted input can take forever or exhaust the memory: a JSON Schema whose references double at each step, a
regular expression, a document. Python cannot interrupt such work in a thread, so it runs in a child process that is
killed when its time is up.

    from worker import bounded

    text = await bounded.documents.run("worker.inputs.readers.pdf:text", content, 8_000, bounds=Bounds(seconds=10))

Callers name the function as ``module:function``, always in this package's own code, never from data. Its arguments are
plain values and bytes. It returns bytes or a JSON value; it raises ``Refused`` with a message for the sender of the
data. Children are kept warm, so a call costs about a millisecond. They see none of this process's secrets: their
environment only says where libraries are.

There are two pools, so that documents, which take seconds, do not delay checks, which take milliseconds. Each pool
serves the parties in ``on_behalf_of`` in turn, so that one with a hundred queued jobs does not delay one with a single
job.
"""

from worker.bounded.bounds import FORKS, Bounds, Refused
from worker.bounded.errors import AnswerTooLarge, BoundedError, Busy, Crashed, NotStarted, OutOfMemory, TimeUp
from worker.bounded.pool import Pool, on_behalf_of

checks = Pool("checks", size=2)
"""The pool for work that takes milliseconds: schemas, patterns, pages."""

documents = Pool("documents", size=2)
"""The pool for work that takes seconds: office documents and PDFs. Only two, since they compete for the processor."""

__all__ = [
    "FORKS",
    "AnswerTooLarge",
    "BoundedError",
    "Bounds",
    "Busy",
    "Crashed",
    "NotStarted",
    "OutOfMemory",
    "Pool",
    "Refused",
    "TimeUp",
    "checks",
    "documents",
    "on_behalf_of",
]
