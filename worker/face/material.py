"""Conversion of a task's input for an agent's model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.face import reading
from worker.face.task import Task

if TYPE_CHECKING:
    from worker.agents.runs.material import Material
    from worker.agents.tools.file_tools import FileTools
    from worker.inputs import Attachments
    from worker.words.models import ModelCapabilities


async def material_of(agent: Any, task: Task, wants_tools: bool | None) -> "tuple[Material, Sequence[str]]":
    """Convert a task's input for its agent's model. Return it with notes on anything that could not be included."""
    from worker.agents.runs.material import Material

    if not task.input.files:
        return Material(task.input.text or ""), ()
    from worker.agents.models.capabilities import capabilities
    from worker.inputs import (
        Attachments,
        adapt,
        compose_message,
        to_agno_audio,
        to_agno_files,
        to_agno_images,
        to_agno_videos,
    )
    from worker.inputs.threads import examine

    text, urls = task.input.text or "", task.input.files
    takes = capabilities(agent, task)
    if task.disable_attachment_injection:  # the agent gets the URLs, and may fetch files with its own tools
        whole = await task.aread_attachments() if wants_tools else Attachments()
        tools = _file_tools(agent, urls, whole, takes, is_cut=False, wanted=wants_tools)
        return Material(compose_message(text, urls, Attachments()), file_tools=tools), ()
    whole = await task.aread_attachments()
    fitting: Attachments = await adapt(whole, takes, reading.limits())
    tools = _file_tools(agent, urls, whole, takes, is_cut=fitting.are_cut, wanted=wants_tools)
    how = tools.how_to_read if tools is not None else None
    material = Material(
        await examine(lambda: compose_message(text, urls, fitting, how_to_read=how)),
        files=to_agno_files(fitting),
        images=to_agno_images(fitting),
        audio=to_agno_audio(fitting),
        videos=to_agno_videos(fitting),
        file_tools=tools,
    )
    return material, fitting.notes


def _file_tools(
    agent: Any,
    urls: Sequence[str],
    whole: "Attachments",
    takes: "ModelCapabilities",
    *,
    is_cut: bool,
    wanted: bool | None,
) -> "FileTools | None":
    """Return tools that read the task's whole files, if they are wanted or, by default, if a file was cut."""
    from worker.agents.tools.file_tools import file_tools, has_tools
    from worker.inputs.library import Library

    can_call = takes.tools or has_tools(agent)
    is_wanted = is_cut and can_call if wanted is None else wanted
    if not is_wanted or callable(getattr(agent, "tools", None)):  # only Agno may call a function that returns tools
        return None
    return file_tools(agent, Library(urls, whole, takes.text_tokens))
