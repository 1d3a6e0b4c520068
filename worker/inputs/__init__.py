"""A task's attachments, read once and safely, and turned into what Agno takes.

    reader = Reader(Limits(), open_stored=platform.open_file)            # one per process
    with await reader.read(task.input.files) as attachments:             # never raises for a bad file
        for item in attachments.unreadable: ...                          # each has a note: file and cause
        fitted = await adapt(attachments, capabilities)                  # what this model can take, and how much
        message = compose_message(text, task.input.files, fitted)
        await agent.arun(message, files=to_agno_files(fitted), images=to_agno_images(fitted),
                         audio=to_agno_audio(fitted), videos=to_agno_videos(fitted))
    await reader.aclose()

What is safe about it, and where that is:

* Only http, https, `data:` and uploaded files (`worker:`) are read (`reader`). Names are resolved here, every address
  is checked, and the connection goes to one of exactly those addresses (`addresses`, `transport`); each redirect goes
  through the same door, and none leads from https to http (`download`). Proxies and cookies are not used.
* Bytes are counted after decompression, a file's seconds run from its name's look-up to its last byte, and a process
  holds at most `process_bytes` at one time: who comes late waits (`allowance`), which ends when the attachments of an
  earlier task are released or nobody refers to them any more.
* A file is what its content says, then what was declared, then what its name says (`classify`, `examining`). PDFs and
  office documents are opened in child processes with bounds on time and memory (`pdfs`, `office`, `worker.bounded`);
  nothing is executed or rendered.
* What a URL held when it was first read can be kept by whoever calls, and is read in place of the URL (`Keeper`).
* Notes hold no query string, no credentials and no base64, and each is one line (`names`). The URLs in a message and in
  `human_readable` are the task's own, since an answer may have to cite them; a `data:` URL is described, never quoted.

Importing this module loads neither Agno nor httpx nor pypdf nor puremagic; each comes with its first use.
"""

from worker.inputs.adapt import adapt, fit_blocking
from worker.inputs.attachments import Attachment, Attachments, Fetched, Keeper, Kind, OpenStored, StoredFile
from worker.inputs.cutting import fit_texts
from worker.inputs.limits import Limits
from worker.inputs.media import to_agno_audio, to_agno_files, to_agno_images, to_agno_videos
from worker.inputs.message import compose_message, human_readable
from worker.inputs.names import display_url, name_of, size_words
from worker.inputs.reader import Reader

__all__ = [
    "Attachment",
    "Attachments",
    "Fetched",
    "Keeper",
    "Kind",
    "Limits",
    "OpenStored",
    "Reader",
    "StoredFile",
    "adapt",
    "compose_message",
    "display_url",
    "fit_blocking",
    "fit_texts",
    "human_readable",
    "name_of",
    "size_words",
    "to_agno_audio",
    "to_agno_files",
    "to_agno_images",
    "to_agno_videos",
]
