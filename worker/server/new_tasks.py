"""What the server checks of a task that somebody wants to be made, over whichever way it comes."""

from worker.server.identity.access import Access
from worker.server.service import Service
from worker.words.errors import ValidationError
from worker.words.tasks import AgentExecutionInput, NewTask

SCHEMES = ("http:", "https:", "data:", "worker:")


async def check_new_task(service: Service, access: Access, new: NewTask) -> None:
    """Refuse early what a worker could not do.

    Raises:
        ValidationError: Its webhook or one of its files cannot be reached.
        FileNotStored: One of its files is not within reach.
        TaskNotFound: Its parent is not.
    """
    await check_files(access, new.input)
    if new.parent_execution is not None:
        await access.check_task(new.parent_execution)  # it would count the new one among its children
    if new.webhook_url and not new.webhook_url.startswith("https:") and not service.settings.allow_private_urls:
        raise ValidationError("webhook_url must be https (WORKER_ALLOW_PRIVATE_URLS)", field="webhook_url")


async def check_files(access: Access, given: AgentExecutionInput) -> None:
    """Refuse files that name something on the machine of whoever reads them.

    Raises:
        ValidationError: One does.
        FileNotStored: One is not within reach.
    """
    for each in given.files or ():
        if not each.lower().startswith(SCHEMES):
            shown = each[:100].encode("utf-8", "replace").decode()
            raise ValidationError(
                f"{shown!r} is no URL of http, https or data; upload the file first (POST /files)", field="input.files"
            )
    await access.check_files(given.files or ())
