"""Attachments of a task: read once and safely, and turned into Agno's media types.

    reader = Reader(Limits(), open_stored=platform.open_file)            # one per process
    with await reader.read(task.input.files) as attachments:             # never raises for a bad file
        for item in attachments.unreadable: ...                          # each has a note: file and cause
        fitted = await adapt(attachments, capabilities)                  # converted and cut for this model
        message = compose_message(text, task.input.files, fitted)
        await agent.arun(message, files=to_agno_files(fitted), images=to_agno_images(fitted),
                         audio=to_agno_audio(fitted), videos=to_agno_videos(fitted))
    await reader.aclose()

Safety measures, and the modules that implement them:

* Only http, https, ``data:`` and uploaded files (``worker:``) are read (``reader``). Names are resolved here, every
  address is checked, and the connection goes to one of exactly those addresses (``addresses``, ``transport``). Each
  redirect is checked in the same way, and none may lead from https to http (``download``). Proxies and cookies are not
  used.
* Bytes are counted after decompression, a file's time limit covers everything from name lookup to the last byte, and
  a process holds at most ``process_bytes`` at a time: further tasks wait (``allowance``) until the attachments of
  earlier tasks are released or no longer referenced.
* The type of a file is that of its content, then its declared type, then that of its name (``classify``,
  ``examining``). PDFs and office documents are opened in child processes with bounds on time and memory (``pdfs``,
  ``documents``, ``worker.bounded``); nothing is executed or rendered.
* The caller may store a URL's content when it is first read; it is then used in place of the URL (``Keeper``).
* Notes contain no query string, no credentials and no base64, and each is one line (``names``). The URLs in a message
  and in ``human_readable`` are the task's own, since an answer may have to cite them; a ``data:`` URL is described,
  never quoted.

Importing this module loads neither Agno nor httpx nor pypdf nor puremagic; each is loaded on first use.
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
