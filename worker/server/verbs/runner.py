"""Dispatch of the verbs of native workers: parsing, permission checks, execution."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from worker.contracts import AccessScope, ClaimedDelivery
from worker.contracts.access import VERBS as RULES
from worker.server.identity.access import Access
from worker.server.identity.claims import Claims
from worker.server.service import Service
from worker.server.verbs.runs import RunVerbs
from worker.server.verbs.workers import PresenceVerbs, ProviderVerbs
from worker.wire.deliveries import DeliveriesForm, SettleForm
from worker.wire.forms import Form, RunForm, TaskForm, read
from worker.wire.verbs import (
    ChildrenForm,
    CrashedForm,
    EmitForm,
    FinishForm,
    HandBackForm,
    KeepFilesForm,
    MakeChildrenForm,
    MessagesForm,
    SaveArtifactsForm,
    SaveForm,
    StoreDocumentForm,
)
from worker.wire.workers import AssignmentsForm, LostForm, ProviderFailedForm, ProviderForm, RegisterForm, ReportForm
from worker.words.errors import ModuleException, ValidationError
from worker.words.outcomes import HandBack

POLLS = frozenset({"assignments", "deliveries"})
"""Verbs that wait for something to claim."""


class VerbRunner(RunVerbs, PresenceVerbs, ProviderVerbs):
    """Carries out the verbs of one worker.

    Args:
        service: The state of the server.
        access: The permissions of the worker.
        claims: The ownership checks of the request; they name the worker, if it has registered.
        refused: Called with the error of each verb that the key's role does not allow.
        base: The server's base URL, as clients reach it.
    """

    def __init__(
        self, service: Service, access: Access, claims: Claims, refused: Callable[[ModuleException], None], base: str
    ) -> None:
        super().__init__(service, access, claims, base)
        self._refused = refused

    def leave(self) -> None:
        """Record that the client has disconnected, which ends its waiting verbs."""
        self.gone = True
        self._organization.work.nudge()

    async def carry_out(self, verb: dict[str, Any]) -> Any:
        """Carry out a verb and return its result.

        Raises:
            ModuleException: The verb's own error.
        """
        name = verb.get("verb")
        if not isinstance(name, str) or name not in VERBS or name not in RULES:
            raise ValidationError(f"verb must be one of {', '.join(VERBS)}", field="verb")
        form, do = VERBS[name]
        try:
            scope = self._access.permit(RULES[name])
        except ModuleException as error:
            self._refused(error)
            raise
        asked = read(form, verb)
        await self._check(scope, asked)
        return await do(self, asked)

    async def _check(self, scope: AccessScope, asked: Form) -> None:
        """Check that the task, attempt or delivery that a verb names is in the scope that the access table requires."""
        match asked:
            case SettleForm():
                given = asked.delivery
                await self._access.check_task(given.task_id)
                await self._claims.delivery(given.task_id, given.subscription_id, given.claim)
            case RunForm() | SaveForm() if asked.attempt is not None:
                await self._access.check_task(asked.task_id)
                await self._claims.attempt(asked.task_id, asked.attempt, scope)
            case TaskForm():
                await self._access.check_task(asked.task_id)
                if scope is AccessScope.Claim:
                    await self._claims.task_or_event(asked.task_id)
            case _:
                if scope is AccessScope.Worker and not isinstance(asked, RegisterForm):
                    await self._worker()

    async def take_back(self, result: dict[str, Any]) -> None:
        """Hand back the tasks and deliveries of a result whose client has disconnected."""
        given = result.get("value") or ()
        with suppress(ModuleException):
            claimed_deliveries = [each for each in given if "claim" in each]
            await self._organization.presence.give_back_deliveries([_delivery_of(each) for each in claimed_deliveries])
        for each in given:
            if "attempt" in each:
                with suppress(ModuleException):
                    await self._organization.work.hand_back(each["task"]["id"], each["attempt"], HandBack())


VERBS: dict[str, tuple[type[Form], Callable[[VerbRunner, Any], Awaitable[Any]]]] = {
    "register": (RegisterForm, VerbRunner.register),
    "assignments": (AssignmentsForm, VerbRunner.assignments),
    "emit": (EmitForm, VerbRunner.emit),
    "keep_files": (KeepFilesForm, VerbRunner.keep_files),
    "store_document": (StoreDocumentForm, VerbRunner.store_document),
    "save": (SaveForm, VerbRunner.save),
    "journal": (TaskForm, VerbRunner.journal),
    "told": (RunForm, VerbRunner.earlier_events),
    "messages": (MessagesForm, VerbRunner.messages),
    "finish": (FinishForm, VerbRunner.finish),
    "hand_back": (HandBackForm, VerbRunner.hand_back),
    "make_children": (MakeChildrenForm, VerbRunner.make_children),
    "children": (ChildrenForm, VerbRunner.children),
    "save_artifacts": (SaveArtifactsForm, VerbRunner.save_artifacts),
    "crashed": (CrashedForm, VerbRunner.crashed),
    "providers": (Form, VerbRunner.providers),
    "provider_failed": (ProviderFailedForm, VerbRunner.provider_failed),
    "provider_answered": (ProviderForm, VerbRunner.provider_answered),
    "lost": (LostForm, VerbRunner.lost),
    "deliveries": (DeliveriesForm, VerbRunner.deliveries),
    "settle": (SettleForm, VerbRunner.settle),
    "renew": (Form, VerbRunner.renew),
    "report": (ReportForm, VerbRunner.report),
    "drain": (Form, VerbRunner.drain),
    "leave": (Form, VerbRunner.leave_platform),
}


def _delivery_of(claimed: dict[str, Any]) -> ClaimedDelivery:
    return ClaimedDelivery(claimed["subscription_id"], claimed["task"]["id"], claimed["claim"])
