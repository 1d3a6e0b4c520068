"""The output of commands: JSON for programs, tables and sentences for people."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from worker.words.finish import is_whole
from worker.words.invisible_characters import UNSEEN_IN_LINES

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from worker.words.artifacts import Artifact
    from worker.words.attempts import Attempt
    from worker.words.requests import InputRequest
    from worker.words.task_lists import TaskItem
    from worker.words.tasks import TaskRecord

T = TypeVar("T")

SECRET_FIELDS = frozenset({"user_tokens", "user_oidc_token", "webhook_url"})
"""Fields of a task that are for its agent only, and never printed."""

CONTROLS = UNSEEN_IN_LINES


def stdout() -> "Console":
    """Return the console of standard output, as wide as the terminal; without a terminal, lines are not cut."""
    return _console(sys.stdout)


def stderr() -> "Console":
    """Return the console of standard error, for messages other than the result."""
    return _console(sys.stderr)


def _console(stream: Any) -> "Console":
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=not stream.isatty())


def print_json(value: "BaseModel | list[Any]", **more: "list[Any]") -> None:
    """Print a value as one line of JSON, and flush it. Further lists become fields of the value."""
    lines: Any = [_plain(each) for each in value] if isinstance(value, list) else _plain(value)
    for name, records in more.items():
        lines[name] = [_plain(each) for each in records]
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(lines, ensure_ascii=ascii_only, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _plain(value: "BaseModel") -> Any:
    from worker.words.tasks import effective

    plain = effective(value.model_dump(mode="json", warnings="none"))
    for each in (plain, plain.get("data")):
        if isinstance(each, dict):
            for name in SECRET_FIELDS:
                each.pop(name, None)
    return plain


def say(text: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(shown(text) + "\n")
    sys.stdout.flush()


def aside(text: str) -> None:
    """Print a line that is not part of the result, on standard error."""
    sys.stderr.write((CONTROLS.sub("", text) if sys.stderr.isatty() else text) + "\n")
    sys.stderr.flush()


def shown(text: str) -> str:
    """Return a text that is safe for a terminal: model and user text must not move the cursor or change its colors."""
    return CONTROLS.sub("", text) if sys.stdout.isatty() else text


def one_line(text: str | None, characters: int = 60) -> str:
    """Return a text as one line of at most so many characters."""
    line = " ".join((text or "").split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on a terminal, or uncut lines separated by tabs elsewhere."""
    if not sys.stdout.isatty():
        for row in [headings, *rows]:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.table import Table

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(CONTROLS.sub("", cell) for cell in row))
    stdout().print(table)


def print_list(
    records: "Iterable[T]", headings: Sequence[str], row: "Callable[[T], Sequence[str]]", *, as_json: bool
) -> None:
    """Print records as JSON, or as a table.

    Args:
        records: The records.
        headings: The headings of the table.
        row: Returns a record's row of the table.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json(list(records))
    else:
        print_rows(headings, map(row, records))


def print_fields(fields: Iterable[tuple[str, str | None]]) -> None:
    """Print names and values, one per line; a value of several lines is printed below its name."""
    for name, value in fields:
        if value is None or value == "":
            continue
        say(f"{name}:\n{value}" if "\n" in value else f"{name + ':':<19}{value}")


ATTEMPT_HEADINGS = ("attempt", "started", "took", "worker", "outcome", "")


def attempt_rows(attempts: "Iterable[Attempt]") -> list[tuple[str, ...]]:
    """Return the table rows of a task's attempts, for ``ATTEMPT_HEADINGS``."""
    return [
        (
            str(each.number),
            time_of(each.started_at),
            "" if each.ended_at is None else f"{(each.ended_at - each.started_at).total_seconds():.1f} s",
            each.worker or each.worker_id or "",
            str(each.outcome).replace("_", " "),
            one_line("; ".join(["manual retry"] * each.by_hand + _error_of(each))),
        )
        for each in attempts
    ]


def _error_of(attempt: "Attempt") -> list[str]:
    return [f"{attempt.error_code}: {attempt.error}" if attempt.error_code else attempt.error] if attempt.error else []


def status_of(task: "TaskRecord | TaskItem") -> str:
    """Return a task's status, with the finish reason if its answer is not whole."""
    return str(task.status) if is_whole(task.finish_reason) else f"{task.status} ({task.finish_reason})"


def task_fields(task: "TaskRecord") -> list[tuple[str, str | None]]:
    """Return the fields of a task for people, in reading order."""
    tokens = task.tokens
    return [
        ("task", task.id),
        ("agent", task.agent_id),
        ("title", task.title),
        ("status", status_of(task)),
        ("internal status", task.internal_status),
        ("error", ", ".join(each for each in (task.error_code, task.provider_code) if each)),
        ("text", one_line(task.input.text, 200)),
        ("files", "\n".join(f"  {one_line(each, 120)}" for each in task.input.files or [])),
        ("user", task.input.user.display_name if task.input.user else None),
        ("conversation", task.conversation_id),
        ("created", time_of(task.created_at)),
        ("started", time_of(task.started_at)),
        ("finished", time_of(task.finished_at)),
        ("next try at", time_of(task.available_at) if task.status == "pending" else None),
        ("duration", None if task.duration is None else f"{task.duration:.2f} s"),
        ("attempts", _attempts(task)),
        ("tokens", f"{tokens.prompt_tokens:,} in, {tokens.completion_tokens:,} out" if tokens else None),
        ("used tools", ", ".join(task.used_tools)),
        ("webhook", urlsplit(task.webhook_url).hostname if task.webhook_url else None),
        ("trace", task.traceparent.split("-")[1] if task.traceparent else None),
        ("waiting for", task.waiting_for),
        ("parent", task.parent_execution),
        ("children", f"{len(task.sub_executions):,}" if task.sub_executions else None),
        ("artifacts", "\n".join(f"  {_artifact(each)}" for each in task.artifacts)),
        *request_fields(task.hitl_request),
        ("events", str(task.last_event)),
        ("result", task.result),
    ]


def _artifact(made: "Artifact") -> str:
    where = one_line(made.url, 120) if made.sha256 is None else f"{made.size:,} bytes"
    return f"{made.name}  {made.media_type}  {where}"


def print_state(task: "TaskRecord", *, as_json: bool) -> None:
    """Print a changed task: as JSON, or its id and status."""
    if as_json:
        print_json(task)
    else:
        say(f"{task.id} {task.status}")


def request_fields(hitl_request: dict[str, Any] | None) -> list[tuple[str, str | None]]:
    """Return what a task waits for: a line for each request, or the whole ``hitl_request`` if it has no requests."""
    from worker.words.requests import open_requests

    listed: list[str] = []
    for each in open_requests(hitl_request):
        listed.append(f"{each.id} ({each.kind}) {one_line(question_line(each), 200)}")
        listed += [f"  {each.answer_url}"] if each.answer_url else []
    whole = json.dumps(hitl_request, ensure_ascii=False) if hitl_request else None
    return [("waits for", "\n".join(f"  {each}" for each in listed) or whole)]


def question_line(request: "InputRequest") -> str:
    """Return a request's question in one line."""
    call = (
        f"{request.tool_name}({json.dumps(request.arguments or {}, ensure_ascii=False)})" if request.tool_name else ""
    )
    choices = ", ".join(request.choices or ())
    return " ".join(each for each in (call, request.question, choices and f"[{choices}]") if each)


def _attempts(task: "TaskRecord") -> str | None:
    if not task.execution_attempts:
        return None
    counts = ("errors", task.errors), ("crashes", task.crashes), ("suspicions", task.suspicions)
    parts = [f"{count} {name}" for name, count in counts if count]
    return f"{task.execution_attempts}" + (f" ({', '.join(parts)})" if parts else "")


def time_of(moment: datetime | None) -> str:
    """Return a moment in local time, to the second, or an empty string."""
    return "" if moment is None else moment.astimezone().isoformat(" ", "seconds")


def settings_panel() -> "RenderableType":
    """Return a panel of all settings with their defaults and help, for ``worker --help``."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    from worker.settings import table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold cyan", no_wrap=True)
    grid.add_column()
    for name, default, help_text in table():
        grid.add_row(name, Text(help_text) + Text(f" [{default}]" if default else "", style="dim"))
    return Panel(grid, title="Environment variables, or a .env file", title_align="left", border_style="dim")
