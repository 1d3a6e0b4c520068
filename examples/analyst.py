"""The document analyst: reads the attached files, computes statistics of the tables among them, answers a question.

    worker run --handlers examples
    worker task create --agent analyst --text "Which region grew most?" --file examples/data/figures.csv --wait

`make demo` runs it. The model is the one of WORKER_MODEL, OPENAI_API_KEY or ANTHROPIC_API_KEY. Without any of these, a
very small model runs on this machine's CPU. That model does not call tools reliably, so the handler calls the tool
itself, marks this in the events, and includes the statistics in the prompt.
"""

import asyncio
import csv
import io
import os
import re
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from worker import Context, Task, TaskUpdateEventType, on, on_shutdown, run_agent
from worker.words.events import NewEvent, Reasoning, ToolCallRequest, ToolCallResult
from worker.words.ids import new_id

if TYPE_CHECKING:
    from agno.agent import Agent

    from worker.agents.models.local_model import LocalModel

INSTRUCTIONS = [
    "You answer questions about the attached documents in two or three plain sentences.",
    "Take every figure from the documents or from a tool; never guess one.",
]
MODEL_VARIABLES = ("WORKER_MODEL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
SMALL_PROMPT, SMALL_ANSWER = 400, 100  # tokens; with more, the small model is slower and loses track
MOST_GROUPS = 20  # a column with more distinct texts contains names rather than groups
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@on(TaskUpdateEventType.TaskCreated, agent_id="analyst", timeout=600)
async def analyse(task: Task, context: Context) -> Task:
    from agno.agent import Agent

    tables = {text.name: text.text or "" for text in (await task.aread_attachments()).texts}

    def column_summary(file_name: str) -> str:
        """Compute first, last, least, greatest, mean and growth of each column of figures in an attached table.

        Args:
            file_name: Name of the attached CSV file.
        """
        if file_name not in tables:
            raise ValueError(f"no table {file_name!r} is attached; attached: {', '.join(tables) or 'none'}")
        return in_words(summarize(tables[file_name]))

    agent = Agent(name="analyst", instructions=INSTRUCTIONS, tools=[column_summary], telemetry=False)
    called: list[str] = []
    if needs_small_model(task):
        figures = [await call_for_model(context, column_summary, name) for name in tables if name.endswith(".csv")]
        called = ["column_summary"] if figures else []
        await fit_to_small_model(agent, "\n".join(figures), task.input.text or "")
    await run_agent(agent, task)
    task.used_tools = [*called, *task.used_tools]
    used = ", ".join(task.used_tools) or "none"
    task.internal_status = f"{len(task.input.files or [])} files read, tools used: {used}"
    return task


async def call_for_model(context: Context, tool: Callable[[str], str], file_name: str) -> str:
    """Call a tool before the run, and emit the call's events, marked as a call by the handler."""
    call_id = new_id()
    request = ToolCallRequest(
        request_id=call_id,
        operation_id=call_id,
        tool_call_id=call_id,
        tool_name=tool.__name__,
        payload={"file_name": file_name},
        reasoning=Reasoning(title="called by the handler, before the model runs"),
    )
    await tell(context, TaskUpdateEventType.ToolCallRequest, request)
    answer = await asyncio.to_thread(tool, file_name)
    await tell(context, TaskUpdateEventType.ToolCallResult, ToolCallResult(**request.model_dump(), result=answer))
    return answer


async def tell(context: Context, kind: TaskUpdateEventType, data: ToolCallRequest) -> None:
    if context.attempt is not None:
        event = NewEvent(type=kind, data=data.model_dump(mode="json"))
        await context.run.work.emit(context.task_id, context.attempt, [event])


def needs_small_model(task: Task) -> bool:
    return not task.llm_model_name and not any(os.environ.get(name) for name in MODEL_VARIABLES)


async def fit_to_small_model(agent: "Agent", figures: str, question: str) -> None:
    """Give an agent the small model, a short prompt and no tools; append statistics and question to its input."""
    from agno.run.agent import RunInput

    from worker.agents.models.capabilities import declare_capabilities

    growth = "\n".join(line.partition(";")[0] for line in figures.splitlines())

    def remind(run_input: RunInput) -> None:
        run_input.input_content = f"{run_input.input_content}\n\n{growth}\n\n{question}"

    model: Any = (await small_model()).model()
    model.max_tokens = SMALL_ANSWER
    declare_capabilities(model.id, pdfs=False, images=False, prompt_tokens=SMALL_PROMPT, tools=False)
    agent.model = model
    agent.tools = []
    agent.pre_hooks = [remind]


_small: list["LocalModel"] = []
_starting = asyncio.Lock()


async def small_model() -> "LocalModel":
    """Return this process's small model, which is started when first used."""
    from worker.agents.models.local_model import LocalModel

    async with _starting:
        if not _small:
            threads = max(1, (os.cpu_count() or 1) - 1)  # leave one core to the worker and its database
            _small.append(await asyncio.to_thread(lambda: LocalModel.start(threads=threads)))
    return _small[0]


@on_shutdown
def close_small_model() -> None:
    while _small:
        _small.pop().close()


def summarize(text: str) -> dict[str, Any]:
    """Compute statistics of a CSV table: for each numeric column, by group if a text column divides the rows.

    The first numeric column counts as the time if it only rises within each group.

    Returns:
        `rows`, `by`, `over`, and `columns`: column → group → first, last, min, max, mean, growth_percent and others.
    """
    rows = [row for row in csv.DictReader(io.StringIO(text)) if any(row.values())]
    names = [name for name in (rows[0] if rows else {}) if name]
    figures = [name for name in names if is_figures([row[name] for row in rows])]
    by = next((name for name in names if name not in figures and is_grouping([row[name] for row in rows])), None)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[by] if by else "all rows", []).append(row)
    over = figures[0] if len(figures) > 1 and all(rises(group, figures[0]) for group in groups.values()) else None
    columns = {
        name: {group: figures_of(members, name, over) for group, members in groups.items()}
        for name in figures
        if name != over
    }
    return {"rows": len(rows), "by": by, "over": over, "columns": columns}


def is_figures(cells: list[str | None]) -> bool:
    filled = [cell.strip() for cell in cells if cell and cell.strip()]
    return bool(filled) and all(NUMBER.fullmatch(cell) for cell in filled)


def is_grouping(cells: list[str | None]) -> bool:
    return 1 < len(set(cells)) <= min(MOST_GROUPS, len(cells) // 2)


def rises(rows: list[dict[str, Any]], name: str) -> bool:
    return all(one < other for one, other in pairwise(float(row[name] or "nan") for row in rows))


def figures_of(rows: list[dict[str, Any]], name: str, over: str | None) -> dict[str, Any]:
    filled = [(row[over] if over else None, float(row[name])) for row in rows if (row[name] or "").strip()]
    if not filled:
        return {"count": 0}
    values = [value for _, value in filled]
    (start, first), (end, last) = filled[0], filled[-1]
    return {
        "count": len(values),
        **({"from": start, "to": end} if over else {}),
        "first": first,
        "last": last,
        "min": min(values),
        "max": max(values),
        "mean": round(sum(values) / len(values), 2),
        "growth_percent": round((last - first) / abs(first) * 100, 1) if first else None,
    }


def in_words(summary: dict[str, Any]) -> str:
    """Return a summary as lines, highest growth first; people and small models read them more easily than JSON."""
    lines = [f"Computed from {summary['rows']} rows, most growth first:"]
    for column, groups in summary["columns"].items():
        counted = [(group, each) for group, each in groups.items() if each["count"]]
        counted.sort(key=lambda pair: pair[1]["growth_percent"] or 0, reverse=True)
        lines += [line_of(group, column, each) for group, each in counted]
    return "\n".join(lines)


def line_of(group: str, column: str, each: dict[str, Any]) -> str:
    start, end = (f" in {each['from']}", f" in {each['to']}") if "from" in each else ("", "")
    growth = "" if each["growth_percent"] is None else f", growth {each['growth_percent']:,} percent"
    return (
        f"{group}: {column} {each['first']:,.10g}{start}, {each['last']:,.10g}{end}{growth}; "
        f"min {each['min']:,.10g}, max {each['max']:,.10g}, mean {each['mean']:,.10g}"
    )
