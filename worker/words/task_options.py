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
    Option("title", str, "A title, for lists."),
    Option("output_format", OutputFormat, "The form the result is wanted in."),
    Option("output_schema", dict, "A JSON Schema that the result must fit."),
    Option("expected_output", str, "What the result should be like, in words for the model."),
    Option("additional_context", str, "What the model should know beside the prompt."),
    Option("instructions_override", str, "Instructions in place of the agent's own.", "instructions"),
    Option("conversation_id", str, "The conversation it belongs to; an agent takes its tasks in turn.", "conversation"),
    Option("agent_version", str, "The version of the agent that is to do it."),
    Option("llm_model_provider", str, "The provider of the model, in place of the agent's.", "model-provider"),
    Option("llm_model_name", str, "The model, in place of the agent's.", "model-name"),
    Option("llm_reasoning_effort", LLMReasoningEffort, "How long the model may think.", "reasoning-effort"),
    Option("think_mode", ThinkMode, "harder: let the model think for long."),
    Option("tool_call_limit", int, "How many tools its runs may call.", least=1),
    Option("mcp_servers", list, "MCP servers, as a list of objects. Not used here: agents name their own."),
    Option(
        "payload_extension",
        dict,
        "Arguments that registered tools are given beside those of the model.",
    ),
    Option(
        "disable_attachment_injection",
        bool,
        "Leave its files to the handler: they are not put into the message.",
        "no-attachments",
    ),
    Option("events_streaming", bool, "Have the text among the events as it is written.", "stream"),
    Option("return_metrics", bool, "Have the metrics of the run with its result."),
    Option("webhook_url", str, "Where its end is posted to, signed, if webhooks are on."),
    Option("parent_execution", str, "The task that it is a part of."),
    Option("triggering_agent_id", str, "The agent that asked for it.", "triggering-agent"),
    Option("worker_id", str, "The only worker that may do it."),
    Option("run_locally", bool, "Whoever created it does it: no other worker is given it. Needs a worker_id."),
    Option("user_tokens", dict, "Tokens of the user for its run alone; encrypted with WORKER_ENCRYPTION_KEY."),
    Option("user_oidc_token", str, "An OIDC token of the user, kept in the same way."),
    Option("source", str, "What created it."),
    Option("test_run_node_id", str, "A node of a graph. Not used here.", "test-run-node"),
    Option("harness_cli", str, "A command-line agent. Not used here."),
    Option("permission_mode", str, "What a command-line agent may do unasked. Not used here."),
    Option("traceparent", str, "The trace that it belongs to, as W3C Trace Context has it."),
)

FILTERS = (
    Option("internal_status", str, "With exactly this internal status."),
    Option("error_code", str, "Whose last try failed of this: rate_limited, quota, handler and so on."),
    Option("finish_reason", FinishReason, "Whose answer ended so: length, content_filter and so on."),
    Option(
        "text",
        str,
        "With this in the id, title, input, internal status or result, upper case or lower. The newest 10,000 that the"
        " other filters leave are looked through.",
    ),
    Option("created_after", datetime, "Created then or later; without a zone it is UTC."),
    Option("created_before", datetime, "Created earlier."),
    Option("parent_task_id", str, "Parts of this task.", "parent"),
    Option("triggering_agent_id", str, "Asked for by this agent.", "triggering-agent"),
    Option("limit", int, "How many at the most.", least=1, most=1000),
    Option("before", str, "Page on: the id of the last task of the page before."),
)


def described(options: Sequence[Option]) -> Callable[[type[M]], type[M]]:
    """Return a class decorator that adds the texts of options to a model's fields, and thereby to OpenAPI."""

    def describe(model: type[M]) -> type[M]:
        for each in options:
            model.model_fields[each.name].description = each.text
        model.model_rebuild(force=True)
        return model

    return describe
