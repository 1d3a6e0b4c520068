"""Hooks for Agno's storage: sessions, runs, approvals, long results."""

from typing import Any

from worker.agents.instrumentation import sync_code
from worker.agents.instrumentation.frames import current_frame
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.storage import records, sessions


def session(original: Original) -> Original:
    """Make the hook for reading a session."""

    async def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        is_found = frame is None or sync_code.has_plain_database(owner)  # the sync hook handles sync databases
        session = await sync_code.stored(original, owner, arguments, options)
        return session if frame is None or is_found else sessions.as_found(frame, owner, session)

    return hook


def session_sync(original: Original) -> Original:
    """Sync version of ``session``."""

    def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        session = original(owner, *arguments, **options)
        frame = current_frame.get()
        return session if frame is None else frame.run.call(sessions.as_found, frame, owner, session)

    return hook


def saving(original: Original) -> Original:
    """Make the hook for storing a session or a run in it. A run that has ended will be resumed, and stores nothing."""

    async def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is not None:
            if frame.run.is_over:
                return None
            await sessions.before_saving(frame)
        return await sync_code.stored(original, owner, arguments, options)

    return hook


def saving_sync(original: Original) -> Original:
    """Sync version of ``saving``."""

    def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            return original(owner, *arguments, **options)
        if frame.run.is_over:
            return None
        sessions.before_saving_sync(frame)
        return original(owner, *arguments, **options)

    return hook


def approval(original: Original) -> Original:
    """Make the hook for recording a requested approval."""

    async def hook(db: Any, run_response: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            return await original(db, run_response, **options)
        return await records.acreate_approval(frame, original, db, run_response, options)

    return hook


def approval_sync(original: Original) -> Original:
    """Sync version of ``approval``."""

    def hook(db: Any, run_response: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            return original(db, run_response, **options)
        return records.create_approval(frame, original, db, run_response, options)

    return hook


def free_id(original: Original) -> Original:
    """Make the hook for the id under which a long result is stored."""

    async def hook(self: Any, session_id: str, run_id: str, call_id: str) -> str:
        frame = current_frame.get()
        found = None if frame is None else records.free_call_id(frame, call_id)
        return await original(self, session_id, run_id, call_id) if found is None else found

    return hook


def free_id_sync(original: Original) -> Original:
    """Sync version of ``free_id``."""

    def hook(self: Any, session_id: str, run_id: str, call_id: str) -> str:
        frame = current_frame.get()
        return original(self, session_id, run_id, call_id) if frame is None else records.free_call_id(frame, call_id)

    return hook
