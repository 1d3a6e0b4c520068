"""The server's checks of a new task, whichever interface it comes through."""

from worker.server.identity.access import Access
from worker.server.service import Service
from worker.words.errors import ValidationError
from worker.words.tasks import AgentExecutionInput, NewTask

SCHEMES = ("http:", "https:", "data:", "worker:")


async def check_new_task(service: Service, access: Access, new: NewTask) -> None:
    """Reject a new task that a worker could not run.

    Raises:
        ValidationError: Its webhook or one of its files cannot be reached.
        FileNotStored: The key cannot reach one of its files.
        TaskNotFound: The key cannot reach its parent.
    """
    await check_files(access, new.input)
    if new.parent_execution is not None:
        await access.check_task(new.parent_execution)  # the parent would list the new task among its children
    if new.webhook_url and not new.webhook_url.startswith("https:") and not service.settings.allow_private_urls:
        raise ValidationError(
            "webhook_url must use https, unless WORKER_ALLOW_PRIVATE_URLS is set on the server", field="webhook_url"
        )


async def check_files(access: Access, given: AgentExecutionInput) -> None:
    """Reject file names that would refer to the machine that reads them.

    Raises:
        ValidationError: A file is not a URL with an allowed scheme.
        FileNotStored: The key cannot reach one of the files.
    """
    for each in given.files or ():
        if not each.lower().startswith(SCHEMES):
            shown = each[:100].encode("utf-8", "replace").decode()
            raise ValidationError(
                f"{shown!r} is not an http, https or data URL; upload the file first (POST /files)", field="input.files"
            )
    await access.check_files(given.files or ())
