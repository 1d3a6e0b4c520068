"""The public names: the module of each, and the module names of xpander-sdk under which it can be imported, too.

One table serves ``worker``, ``worker.types`` and all alias modules, so that code moves over with one search-and-replace
of the package's name. Alias modules contain no code: a finder creates them from the table when they are imported. Stub
files, written from the table by ``python -m tests.face.stubs``, serve type checkers. Each name is loaded on first use,
so ``import worker`` loads none.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PLACES: dict[str, tuple[str, ...]] = {
    "worker.face.task": ("Task",),
    "worker.face.task_lists": ("TasksListItem",),
    "worker.face.tasks": ("Tasks",),
    "worker.face.agent": ("Agent", "AgentsListItem"),
    "worker.face.agents": ("Agents",),
    "worker.face.agno_db": ("agno_db",),
    "worker.face.backend": ("Backend",),
    "worker.face.configuration": ("Configuration",),
    "worker.face.context": ("Context",),
    "worker.face.knowledge": ("KnowledgeBase", "KnowledgeBaseDocumentItem", "KnowledgeBases"),
    "worker.face.listening": ("Events", "on_auth_event"),
    "worker.face.tools": ("Tool", "ToolsRepository"),
    "worker.agents.tools.tools": ("declare_tool",),
    "worker.decorators": (
        "on",
        "on_boot",
        "on_shutdown",
        "on_task",
        "on_tool_after",
        "on_tool_before",
        "on_tool_error",
        "register_tool",
        "tool",
    ),
    "worker.current": ("idempotency_key",),
    "worker.face.running": ("run_agent", "run_agent_sync"),
    "worker.face.schema_models": ("build_model_from_schema",),
    "worker.words.retry": ("RetryPolicy",),
    "worker.words.statuses": (
        "AgentExecutionStatus",
        "LLMReasoningEffort",
        "OutputFormat",
        "TaskUpdateEventType",
        "ThinkMode",
    ),
    "worker.words.requests": ("InputAnswer", "InputRequest", "OpenRequest", "ReceivedAnswer", "RequestKind"),
    "worker.words.tasks": ("AgentExecutionInput", "DeepPlanning", "LocalTaskTest", "PlanStep", "Tokens", "User"),
    "worker.words.events": (
        "Note",
        "Reasoning",
        "SubAgentTrigger",
        "TaskUpdateEvent",
        "Thought",
        "ToolCallRequest",
        "ToolCallResult",
    ),
    "worker.words.activity": (
        "AgentActivityThread",
        "AgentActivityThreadAuth",
        "AgentActivityThreadMessage",
        "AgentActivityThreadMessageContent",
        "AgentActivityThreadMessageType",
        "AgentActivityThreadReasoning",
        "AgentActivityThreadSubAgentTrigger",
        "AgentActivityThreadToolCall",
    ),
    "worker.words.agents": ("Instructions",),
    "worker.words.plans": ("MAX_PLAN_RETRIES", "PROMISE_CONTINUATION_NUDGE", "is_promise_only_answer"),
    "worker.words.knowledge": (
        "AgentKnowledgeBase",
        "KnowledgeBaseSearchResult",
        "KnowledgeBaseType",
    ),
    "worker.words.tools": ("ToolInvocationResult",),
    "worker.words.protocol": (
        "AgentDeploymentType",
        "MCPServerAuthType",
        "MCPServerDetails",
        "MCPServerSSOTokenMode",
        "MCPServerTransport",
        "MCPServerType",
        "Principal",
        "PrincipalKind",
    ),
    "worker.words.errors": (
        "ChildFailed",
        "ConfigurationError",
        "Conflict",
        "GiveUp",
        "LeaseLost",
        "ModuleException",
        "NotFound",
        "ProviderUnreachableError",
        "Unavailable",
        "ValidationError",
    ),
}
"""Module → the public names that it defines."""

WHERE = {name: module for module, names in PLACES.items() for name in names}
"""Public name → the module that defines it."""

DECORATORS = ("on_boot", "on_shutdown", "on_task", "on_tool_after", "on_tool_before", "on_tool_error")

TYPES = (
    "KnowledgeBaseDocumentItem",
    *PLACES["worker.words.activity"],
    *PLACES["worker.words.agents"],
    *PLACES["worker.words.events"],
    *PLACES["worker.words.knowledge"],
    *PLACES["worker.words.protocol"],
    *PLACES["worker.words.requests"],
    *PLACES["worker.words.statuses"],
    *PLACES["worker.words.tasks"],
    *PLACES["worker.words.tools"],
)
"""The public names that ``worker.types`` has, too."""

MODULES: dict[str, tuple[str, ...]] = {
    "exceptions": PLACES["worker.words.errors"],
    "exceptions.module_exception": ("ModuleException", "ProviderUnreachableError"),
    "models": (),
    "models.activity": PLACES["worker.words.activity"],
    "models.configuration": ("Configuration",),
    "models.deep_planning": ("DeepPlanning",),
    "models.events": (
        "TaskUpdateEventType",
        "ToolCallRequest",
        "ToolCallResult",
        "SubAgentTrigger",
        "Reasoning",
    ),
    "models.shared": ("AgentExecutionStatus", "LLMReasoningEffort", "OutputFormat", "ThinkMode", "Tokens"),
    "models.principal": ("Principal", "PrincipalKind"),
    "models.user": ("User",),
    "modules": (),
    "modules.agents": ("Agent", "Agents", "AgentsListItem"),
    "modules.agents.agents_module": ("Agents",),
    "modules.agents.models": (),
    "modules.agents.models.knowledge_bases": ("AgentKnowledgeBase",),
    "modules.agents.models.agent": ("AgentDeploymentType", "Instructions", "LLMReasoningEffort"),
    "modules.agents.sub_modules": (),
    "modules.agents.sub_modules.agent": ("Agent",),
    "modules.backend": ("Backend", "on_auth_event"),
    "modules.backend.backend_module": ("Backend",),
    "modules.backend.decorators": ("on_auth_event",),
    "modules.backend.decorators.on_auth_event": ("on_auth_event",),
    "modules.events": ("Events", *DECORATORS),
    "modules.events.decorators": DECORATORS,
    "modules.events.events_module": ("MAX_PLAN_RETRIES", "Events"),
    "modules.events.decorators.on_boot": ("on_boot",),
    "modules.events.decorators.on_shutdown": ("on_shutdown",),
    "modules.events.decorators.on_task": ("on_task",),
    "modules.events.decorators.on_tool": ("on_tool_after", "on_tool_before", "on_tool_error"),
    "modules.knowledge_bases": ("KnowledgeBase", "KnowledgeBases"),
    "modules.knowledge_bases.knowledge_bases_module": ("KnowledgeBase", "KnowledgeBases"),
    "modules.knowledge_bases.models": (),
    "modules.knowledge_bases.models.knowledge_bases": ("KnowledgeBaseSearchResult", "KnowledgeBaseType"),
    "modules.knowledge_bases.sub_modules": (),
    "modules.knowledge_bases.sub_modules.knowledge_base": ("KnowledgeBase",),
    "modules.knowledge_bases.sub_modules.knowledge_base_document_item": ("KnowledgeBaseDocumentItem",),
    "modules.tasks": ("Task", "Tasks"),
    "modules.tasks.models": (),
    "modules.tasks.models.task": (
        "AgentExecutionInput",
        "AgentExecutionStatus",
        "LLMReasoningEffort",
        "LocalTaskTest",
    ),
    "modules.tasks.models.tasks_list": ("TasksListItem",),
    "modules.tasks.sub_modules": (),
    "modules.tasks.sub_modules.task": ("Task", "TaskUpdateEvent"),
    "modules.tasks.tasks_module": ("Tasks",),
    "modules.tools_repository": ("Tool", "ToolsRepository", "register_tool"),
    "modules.tools_repository.decorators": ("register_tool",),
    "modules.tools_repository.decorators.register_tool": ("register_tool",),
    "modules.tools_repository.models": (),
    "modules.tools_repository.models.mcp": (
        "MCPServerAuthType",
        "MCPServerDetails",
        "MCPServerSSOTokenMode",
        "MCPServerTransport",
        "MCPServerType",
    ),
    "modules.tools_repository.models.tool_invocation_result": ("ToolInvocationResult",),
    "modules.tools_repository.sub_modules": (),
    "modules.tools_repository.sub_modules.tool": ("Tool",),
    "modules.tools_repository.tools_repository_module": ("ToolsRepository",),
    "modules.tools_repository.utils": (),
    "modules.tools_repository.utils.schemas": ("build_model_from_schema",),
    "utils": (),
    "utils.answer_guards": ("PROMISE_CONTINUATION_NUDGE", "is_promise_only_answer"),
}
"""Alias module below ``worker`` → the public names that it exports."""

ROOT = "worker."


class AliasModule(ModuleType):
    """A module that exports public names, each loaded on first use."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(name, f"Another import path for {', '.join(names)}." if names else "A package of aliases.")
        self.__all__ = list(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.__all__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(WHERE[name]), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})


class AliasFinder(MetaPathFinder, Loader):
    """Creates alias modules from the table, and finds no other modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of an alias module, or None."""
        del path, target
        alias = fullname.removeprefix(ROOT)
        if not fullname.startswith(ROOT) or alias not in MODULES:
            return None
        return ModuleSpec(
            fullname, self, origin="alias", is_package=any(each.startswith(f"{alias}.") for each in MODULES)
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Create the module; its names are loaded later."""
        return AliasModule(spec.name, MODULES[spec.name.removeprefix(ROOT)])

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is complete."""


def export(module: str) -> None:
    """Have a module that is being imported load the public names in its ``__all__`` on first use."""
    sys.modules[module].__class__ = AliasModule


def register() -> None:
    """Make alias modules importable. Repeated calls have no effect."""
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder())  # first, since the folders of stubs would be namespace packages
