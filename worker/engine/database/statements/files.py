"""The SQL of stored files."""

# A file that is already stored is only marked as used, and its content need not be sent. At most once an hour, since
# otherwise every task would write to a popular file's row.
USE_FILE = """
    with known as (
        select used_at from worker.files where organization_id = %(organization)s and sha256 = %(sha256)s
    ), used as (
        update worker.files set used_at = now()
        where organization_id = %(organization)s and sha256 = %(sha256)s and used_at < now() - interval '1 hour'
    )
    select used_at from known
"""

STORE_FILE = """
    insert into worker.files (organization_id, sha256, media_type, size, content, sealed)
    values (%(organization)s, %(sha256)s, %(media_type)s, %(size)s, %(content)s, %(sealed)s)
    on conflict (organization_id, sha256) do update set used_at = now()
"""

OPEN_FILE = "select media_type, content, sealed from worker.files where organization_id = %s and sha256 = %s"

KEPT_FILES = """
    select k.url_digest, k.sha256, k.media_type, k.name, f.size
    from worker.task_files k join worker.files f using (organization_id, sha256)
    where k.task_id = %s and k.organization_id = %s
"""

# For a task that is created again with a new input, and so has other files.
DROP_TASK_FILES = "delete from worker.task_files where task_id = any(%s::text[])"

# Files of tasks. Each is first marked as used, in the same order by all processes, so that no clean-up removes it.
INSERT_TASK_FILES = """
    with wanted as materialized (
        select * from json_to_recordset(%s::json) as r(
            task_id text, organization_id text, url_digest text, sha256 text, media_type text, name text
        )
    ), stale as materialized (
        select f.organization_id, f.sha256 from worker.files f
        where (f.organization_id, f.sha256) in (select organization_id, sha256 from wanted)
          and f.used_at < now() - interval '1 hour'
        order by f.organization_id, f.sha256 for update
    ), used as (
        update worker.files f set used_at = now() from stale s
        where f.organization_id = s.organization_id and f.sha256 = s.sha256
    )
    insert into worker.task_files (task_id, url_digest, organization_id, sha256, media_type, name)
    select w.task_id, w.url_digest, w.organization_id, w.sha256, w.media_type, w.name
    from wanted w join worker.files f on f.organization_id = w.organization_id and f.sha256 = w.sha256
    on conflict (task_id, url_digest) do nothing
"""
