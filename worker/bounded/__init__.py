"""Work on hostile data in child processes, bounded in time, memory and size of the answer.

Some of what others send can take for ever, or fill the memory: a JSON Schema whose references double at each step, a
regular expression, a document. Python cannot interrupt such work in a thread, so it is done in a child process that is
killed when its time is up.

    from worker import bounded

    text = await bounded.documents.run("worker.inputs.readers.pdf:text", content, 8_000, bounds=Bounds(seconds=10))

The function is named by this package's own code, as ``module:function``. Its arguments are plain values and bytes. It
answers bytes, or a value that JSON has; it raises ``Refused`` with words for whoever sent the data. Children are kept
warm, so a call costs about a millisecond. They see none of this process's secrets: their environment names only where
libraries are.

There are two pools, so that documents, which take seconds, hold up no check, which takes milliseconds. Within a pool
turns go round among those on whose behalf work is done (``on_behalf_of``): who has a hundred jobs waiting does not hold
up who has one.
"""

from worker.bounded.bounds import FORKS, Bounds, Refused
from worker.bounded.errors import AnswerTooLarge, BoundedError, Busy, Crashed, NotStarted, OutOfMemory, TimeUp
from worker.bounded.pool import Pool, on_behalf_of

checks = Pool("checks", size=2)
"""For what takes milliseconds: schemas, patterns, pages."""

documents = Pool("documents", size=2)
"""For what takes seconds: office documents and PDFs. Two, since they take the processor from everybody else."""

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
