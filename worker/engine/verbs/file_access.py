"""Access to stored files for keys that are limited to certain agents."""

from collections.abc import Collection, Sequence

from worker.engine.core import Core

_NOTE = """
    insert into worker.uploads (organization_id, sha256, key_id) values (%s, %s, %s) on conflict do nothing
"""

# Files that this key uploaded, files of its agents' tasks, and large values in the journals of those tasks.
_WITHIN = """
    select w.sha256 from unnest(%(digests)s::text[]) as w(sha256)
    where exists (
        select from worker.uploads u
        where u.organization_id = %(organization)s and u.sha256 = w.sha256 and u.key_id = %(key)s
    ) or exists (
        select from worker.task_files k join worker.tasks t on t.id = k.task_id
        where k.organization_id = %(organization)s and k.sha256 = w.sha256 and t.agent_id = any(%(agents)s::text[])
    ) or exists (
        select from worker.journal j join worker.tasks t on t.id = j.task_id
        where j.sha256 = w.sha256 and t.organization_id = %(organization)s and t.agent_id = any(%(agents)s::text[])
    )
"""


class EngineUploads:
    """The uploads of one organization, by key."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id

    async def note(self, sha256: str, key_id: str) -> None:
        """Record that a key uploaded a file."""
        await self._core.rows(_NOTE, (self._organization, sha256, key_id))

    async def within(self, digests: Collection[str], key_id: str, agents: Sequence[str]) -> frozenset[str]:
        """Return those of the files that a key limited to these agents can access."""
        asked = {"organization": self._organization, "digests": list(digests), "key": key_id, "agents": list(agents)}
        return frozenset(row["sha256"] for row in await self._core.read(_WITHIN, asked))
