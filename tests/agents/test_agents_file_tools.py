"""Tools by which an agent reads on in a task's files: their calls are in the journal like any other's."""

from dataclasses import replace
from typing import Any

from agno.agent import Agent

from tests.agents.attempts import Task
from worker.agents.runs.material import Material
from worker.agents.tools.file_tools import FileTools
from worker.inputs import Attachment, Attachments, Kind
from worker.inputs.library import Library
from worker.testing import Call, ScriptedModel


class Counted(Library):
    """Files that count how often they are read."""

    reads = 0

    async def read(self, name: str, start: int, end: int | None) -> str:
        self.reads += 1
        return await super().read(name, start, end)


async def test_what_was_read_is_not_read_again_by_the_next_attempt() -> None:
    file = Attachment("a.txt", Kind.TEXT, "text/plain", "a.txt", b"Two plus two is four.", "utf-8")
    files, task = Counted(["a.txt"], Attachments((file,))), Task()
    material = replace(Material("the question"), file_tools=FileTools(files))

    async def handle(run_agent: Any) -> Any:
        model = ScriptedModel([Call("read_file", {"name": "a.txt", "from": 9}, id="1"), "done"])
        result = await run_agent(Agent(name="ann", model=model), material)
        return result.content, str(model.requests[-1].messages[-1].content)

    await task.attempted(handle, dies_at=2)
    assert files.reads == 1
    content, told = await task.attempted(handle)
    assert content == "done"
    assert files.reads == 1
    assert told == "[characters 9 to 21 of 21 of a.txt]\ntwo is four."
