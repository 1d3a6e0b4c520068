"""The list of all hooks. Each function that creates a hook documents the hook's purpose."""

from worker.agents.instrumentation import sync_code
from worker.agents.instrumentation.hooks import connections as connections_hooks
from worker.agents.instrumentation.hooks import models as models_hooks
from worker.agents.instrumentation.hooks import runs as runs_hooks
from worker.agents.instrumentation.hooks import storage as storage_hooks
from worker.agents.instrumentation.hooks import tools as tools_hooks
from worker.agents.instrumentation.model_calls import steering
from worker.agents.instrumentation.places import Hook
from worker.agents.instrumentation.runs import nested_runs
from worker.agents.instrumentation.stable_ids import fence, time_or_stable, uuid4_or_stable
from worker.agents.instrumentation.steps import step_pauses, step_reviews
from worker.agents.instrumentation.storage import compaction, ignored_failures, knowledge, media
from worker.agents.instrumentation.tool_calls import long_results, pauses, refused_calls

BASE = "agno.models.base"

FUNCTION = "agno.tools.function"

OWNERS = (("agno.agent.agent", "Agent"), ("agno.team.team", "Team"), ("agno.workflow.workflow", "Workflow"))

EXECUTIONS = ("aexecute", "aexecute_stream", "execute", "execute_stream")
"""The methods with which Agno executes a workflow step of any kind."""

SAVES = (
    ("asave_session", storage_hooks.saving),
    ("asave_run", storage_hooks.saving),
    ("save_session", storage_hooks.saving_sync),
    ("save_run", storage_hooks.saving_sync),
)

CONNECTIONS = (
    ("connect_mcp_tools", connections_hooks.connect_servers),
    ("disconnect_mcp_tools", connections_hooks.disconnect_servers),
    ("connect_connectable_tools", connections_hooks.connect_databases),
    ("disconnect_connectable_tools", connections_hooks.disconnect_databases),
)

HOOKS: tuple[Hook, ...] = (
    Hook(BASE, "Model", "_ainvoke_with_retry", models_hooks.model_call),
    Hook(BASE, "Model", "_invoke_with_retry", models_hooks.model_call_sync),
    Hook(BASE, "Model", "_ainvoke_stream_with_retry", models_hooks.model_stream),
    Hook(BASE, "Model", "_invoke_stream_with_retry", models_hooks.model_stream_sync),
    Hook(BASE, "Model", "aresponse_stream", steering.answered),
    Hook(BASE, "Model", "_populate_assistant_message_from_stream_data", models_hooks.parsed_calls),
    Hook(BASE, "Model", "_get_cached_model_response", models_hooks.cached_answer),
    Hook("agno.exceptions", "ModelProviderError", "classify", models_hooks.classified),
    Hook(BASE, "Model", "get_function_calls_to_run", refused_calls.calls_to_run),
    Hook(BASE, "Model", "create_tool_call_limit_error_result", refused_calls.over_the_limit),
    Hook(BASE, "Model", "create_function_call_result", long_results.for_the_model),
    Hook(BASE, "Model", "arun_function_calls", pauses.calls),
    Hook(BASE, "Model", "run_function_calls", pauses.calls_sync),
    Hook(BASE, "Model", "arun_function_call", tools_hooks.tool_call),
    Hook(FUNCTION, "FunctionCall", "aexecute", tools_hooks.tool_execution),
    Hook(FUNCTION, "FunctionCall", "execute", tools_hooks.tool_execution_sync),
    *(Hook(module, owner, name, runs_hooks.run) for module, owner in OWNERS for name in ("arun", "run")),
    Hook("agno.agent._init", "", "set_id", runs_hooks.own_id, is_shared=True),
    Hook("agno.team._init", "", "set_id", runs_hooks.own_id, is_shared=True),
    Hook("agno.workflow.workflow", "Workflow", "set_id", runs_hooks.own_id),
    *(Hook("agno.workflow.step", "Step", name, runs_hooks.step) for name in EXECUTIONS),
    *(
        Hook(f"agno.workflow.{kind.lower()}", kind, name, step_reviews.group)
        for kind in ("Loop", "Condition", "Steps", "Router", "Parallel")
        for name in EXECUTIONS
    ),
    Hook("agno.agent._storage", "", "aread_or_create_session", storage_hooks.session, is_shared=True),
    Hook("agno.agent._storage", "", "read_or_create_session", storage_hooks.session_sync, is_shared=True),
    Hook("agno.team._storage", "", "_aread_or_create_session", storage_hooks.session, is_shared=True),
    Hook("agno.team._storage", "", "_read_or_create_session", storage_hooks.session_sync, is_shared=True),
    Hook("agno.agent._storage", "", "aread_session", sync_code.database, is_shared=True),
    Hook("agno.team._storage", "", "_aread_session", sync_code.database, is_shared=True),
    Hook("agno.workflow.workflow", "Workflow", "aread_or_create_session", storage_hooks.session),
    Hook("agno.workflow.workflow", "Workflow", "read_or_create_session", storage_hooks.session_sync),
    *(
        Hook(f"agno.{kind}._session", "", name, make, is_shared=True)
        for kind in ("agent", "team")
        for name, make in SAVES
    ),
    *(Hook("agno.workflow.workflow", "Workflow", name, make) for name, make in SAVES),
    Hook("agno.workflow.workflow", "Workflow", "_apersist_session_and_run", step_pauses.saved),
    Hook("agno.workflow.workflow", "Workflow", "_persist_session_and_run", step_pauses.saved_sync),
    Hook("agno.workflow.workflow", "Workflow", "aget_session", step_pauses.session),
    Hook("agno.workflow.workflow", "Workflow", "get_session", step_pauses.session_sync),
    Hook("agno.run.approval", "", "acreate_approval_from_pause", storage_hooks.approval, is_shared=True),
    Hook("agno.run.approval", "", "create_approval_from_pause", storage_hooks.approval_sync, is_shared=True),
    Hook("agno.compaction.compaction", "Compaction", "archive_for", compaction.archive),
    Hook("agno.compaction.compaction", "Compaction", "_asummarize", compaction.summary),
    Hook("agno.compaction.compaction", "Compaction", "_summarize", compaction.summary_sync),
    Hook("agno.offload.store", "ResultStore", "_afree_call_id", storage_hooks.free_id),
    Hook("agno.offload.store", "ResultStore", "_free_call_id", storage_hooks.free_id_sync),
    Hook("agno.utils.callables", "", "aresolve_callable_members", runs_hooks.members, is_shared=True),
    Hook("agno.utils.callables", "", "resolve_callable_members", runs_hooks.members_sync, is_shared=True),
    Hook("agno.utils.hooks", "", "filter_hook_args", tools_hooks.hook_arguments, is_shared=True),
    Hook("agno.agent.agent", "Agent", "background_executor", runs_hooks.background),
    Hook("agno.team.team", "Team", "background_executor", runs_hooks.background),
    *(
        Hook(f"agno.{kind}._init", "", f"{private}{name}", make)
        for kind, private in (("agent", ""), ("team", "_"))
        for name, make in CONNECTIONS
    ),
    *(
        Hook(
            f"agno.{kind}._hooks",
            "",
            f"{private}aexecute_{when}_hooks",
            sync_code.options("hooks", agno_ignores_failure=True),
            is_shared=True,
        )
        for kind, private in (("agent", ""), ("team", "_"))
        for when in ("pre", "post")
    ),
    Hook("agno.utils.agent", "", "aexecute_instructions", sync_code.options("instructions"), is_shared=True),
    Hook("agno.utils.agent", "", "aexecute_system_message", sync_code.options("system_message"), is_shared=True),
    Hook("agno.utils.callables", "", "ainvoke_callable_factory", sync_code.options("factory"), is_shared=True),
    Hook("agno.utils.callables", "", "_acompute_cache_key", sync_code.options("custom_key_fn"), is_shared=True),
    Hook("agno.agent._run", "", "aresolve_run_dependencies", sync_code.dependencies, is_shared=True),
    Hook("agno.team._run", "", "_aresolve_run_dependencies", sync_code.dependencies, is_shared=True),
    *(
        Hook(module, "", "aget_relevant_docs_from_knowledge", connections_hooks.lookup, is_shared=True)
        for module in ("agno.agent._messages", "agno.team._default_tools")
    ),
    Hook("agno.media.media", "", "bytes_and_mime_from_url", media.read),
    Hook("agno.media.media", "", "abytes_and_mime_from_url", media.read_async),
    Hook("agno.utils.tokens", "", "_get_image_dimensions", media.image_dimensions),
    Hook("agno.utils.tokens", "", "count_file_tokens", media.file_tokens, is_shared=True),
    *(Hook(module, "", "log_warning", ignored_failures.log_warning) for module in ignored_failures.MODULES),
    Hook("agno.knowledge.knowledge", "Knowledge", "search", knowledge.search_sync),
    Hook("agno.knowledge.knowledge", "Knowledge", "asearch", knowledge.search),
    Hook(FUNCTION, "FunctionCall", "_aexecute", sync_code.tool_execution),
    Hook("agno.workflow.parallel", "Parallel", "_aggregate_results", nested_runs.joined),
    Hook("agno.workflow.condition", "Condition", "_aevaluate_condition", sync_code.attributes("evaluator")),
    Hook("agno.workflow.router", "Router", "_aroute_steps", sync_code.attributes("selector")),
    Hook("agno.workflow.loop", "Loop", "_aevaluate_end_condition", sync_code.attributes("end_condition")),
    Hook("agno.run.approval", "", "uuid4", uuid4_or_stable),
    Hook("agno.team.task", "", "uuid4", uuid4_or_stable),
    Hook("agno.team.task", "", "time", time_or_stable),
    Hook("agno.utils.names", "", "uuid4", uuid4_or_stable),
    Hook("agno.scorer._fence", "", "fence_untrusted", fence, is_shared=True),
)
"""All hooks. Each function that creates a hook documents the hook's purpose."""
