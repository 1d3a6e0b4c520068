"""The options of new tasks and the filters of task lists, each defined once for Python, HTTP and the CLI.

The models in ``words/task_lists.py`` and ``words/tasks.py`` validate the values; their schemas take the texts from
here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from worker.words.finish import FinishReason
from worker.words.statuses import LLMReasoningEffort, OutputFormat, ThinkMode

if TYPE_CHECKING:  # the command line reads these tables and must start without pydantic
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")


@dataclass(frozen=True, slots=True)
class Option:
    """An option or filter.

    Args:
        name: Its name in Python and JSON.
        kind: The type of a value: ``str``, ``int``, ``bool``, ``datetime``, an enumeration; ``dict`` or ``list`` for
            JSON.
        text: Its effect, in a sentence.
        flag: Its name on the command line, without dashes; None means the name with dashes for underscores.
        least, most: The bounds of an ``int``; None means unbounded.
    """

    name: str
    kind: type
    text: str
    flag: str | None = None
    least: int | None = None
    most: int | None = None


CREATE = (
    Option("title", str, "A title for lists."),
    Option("output_format", OutputFormat, "Format of the result."),
    Option("output_schema", dict, "JSON Schema that the result must match."),
    Option("expected_output", str, "Description of the expected result, for the model."),
    Option("additional_context", str, "Information for the model besides the prompt."),
    Option("instructions_override", str, "Instructions that replace the agent's own.", "instructions"),
    Option(
        "conversation_id",
        str,
        "The conversation that the task belongs to; an agent runs a conversation's tasks one at a time.",
        "conversation",
    ),
    Option("agent_version", str, "Version of the agent that runs the task."),
    Option("llm_model_provider", str, "Model provider, instead of the agent's.", "model-provider"),
    Option("llm_model_name", str, "Model, instead of the agent's.", "model-name"),
    Option(
        "llm_reasoning_effort", LLMReasoningEffort, "How much effort the model puts into reasoning.", "reasoning-effort"
    ),
    Option("think_mode", ThinkMode, "With `harder`, the model uses high reasoning effort."),
    Option("tool_call_limit", int, "How many tools its runs may call.", least=1),
    Option("mcp_servers", list, "MCP servers, as a list of objects. Not used here: agents have their own."),
    Option(
        "payload_extension",
        dict,
        "Additional arguments passed to registered tools.",
    ),
    Option(
        "disable_attachment_injection",
        bool,
        "Do not add the files to the message; the handler reads them.",
        "no-attachments",
    ),
    Option("events_streaming", bool, "Also record text as events while it is generated.", "stream"),
    Option("return_metrics", bool, "Return the run's metrics with the result."),
    Option("webhook_url", str, "URL to post the finished task to, signed, if webhooks are enabled."),
    Option("parent_execution", str, "The parent task."),
    Option("triggering_agent_id", str, "The agent that requested the task.", "triggering-agent"),
    Option("worker_id", str, "The only worker that may run the task."),
    Option("run_locally", bool, "The creator runs the task; no worker claims it. Requires a worker_id."),
    Option("user_tokens", dict, "The user's tokens, for this run only; encrypted with WORKER_ENCRYPTION_KEY."),
    Option("user_oidc_token", str, "The user's OIDC token, stored in the same way."),
    Option("source", str, "What created the task."),
    Option("test_run_node_id", str, "A node of a graph. Not used here.", "test-run-node"),
    Option("harness_cli", str, "A command-line agent. Not used here."),
    Option("permission_mode", str, "Permissions of a command-line agent. Not used here."),
    Option("traceparent", str, "W3C trace context that the task belongs to."),
)

FILTERS = (
    Option("internal_status", str, "Only tasks with exactly this internal status."),
    Option(
        "error_code",
        str,
        "Only tasks whose last attempt failed with this code: rate_limited, quota, handler and so on.",
    ),
    Option(
        "finish_reason",
        FinishReason,
        "Only tasks whose answer has this finish reason: length, content_filter and so on.",
    ),
    Option(
        "text",
        str,
        "Only tasks whose id, title, input, internal status or result contains this text (case-insensitive)."
        " Searches the newest 10,000 tasks that match the other filters.",
    ),
    Option("created_after", datetime, "Only tasks created at this time or later, in UTC unless a time zone is given."),
    Option("created_before", datetime, "Only tasks created before this time, in UTC unless a time zone is given."),
    Option("parent_task_id", str, "Only subtasks of this task.", "parent"),
    Option("triggering_agent_id", str, "Only tasks requested by this agent.", "triggering-agent"),
    Option("limit", int, "The most rows to list.", least=1, most=1000),
    Option("before", str, "Continue after this id, the last one on the previous page."),
)


def described(options: Sequence[Option]) -> Callable[[type[M]], type[M]]:
    """Return a class decorator that adds the texts of options to a model's fields, and thereby to OpenAPI."""

    def describe(model: type[M]) -> type[M]:
        for each in options:
            model.model_fields[each.name].description = each.text
        model.model_rebuild(force=True)
        return model

    return describe
