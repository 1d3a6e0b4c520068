"""The metrics report of a run in the bare protocol."""

from typing import Any

from worker.words.outcomes import Outcome
from worker.words.tasks import TaskRecord, Tokens


def metrics(record: TaskRecord, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Return the metrics report of a run.

    Args:
        record: The task after the run.
        outcome: The outcome of the run.
        seconds: The duration of the run.
    """
    tokens = Tokens.model_validate(outcome.changes.get("tokens") or {})
    model = "/".join(part for part in (record.llm_model_provider, record.llm_model_name) if part)
    return {
        "execution_id": record.id,
        "source": record.source or "sdk",
        "memory_thread_id": record.conversation_id or record.id,
        "task": record.input.text or "",
        "status": outcome.status,
        "internal_status": record.internal_status,
        "duration": outcome.changes.get("duration", seconds),
        "ai_model": model or "unknown",
        "api_calls_made": outcome.changes.get("used_tools") or [],
        "result": outcome.changes.get("result"),
        "llm_tokens": {"inner": _counts(Tokens()), "worker": _counts(tokens)},
    }


def _counts(tokens: Tokens) -> dict[str, int]:
    return {
        "prompt_tokens": tokens.prompt_tokens,
        "completion_tokens": tokens.completion_tokens,
        "total_tokens": tokens.total_tokens,
    }
