"""The SQL of the server's own data: keys, secrets, sessions, and idempotency keys of creates."""

# The first create with an idempotency key reserves it; later ones get the id of its task. Rows expire after a day.
RESERVE = """
    with forgotten as (
        delete from worker.repeats where created_at < now() - interval '1 day'
           and (organization_id, key) <> (%(organization)s, %(key)s)
    )
    insert into worker.repeats as r (organization_id, key, digest, task_id)
    values (%(organization)s, %(key)s, %(digest)s, %(task)s)
    on conflict (organization_id, key) do update set key = r.key
    returning digest, task_id, xmax = 0 as fresh
"""

RELEASE = "delete from worker.repeats where organization_id = %s and key = %s and task_id = %s"

_KEY = "id, organization_id, name, agents, role, created_at, expires_at, revoked_at"

CREATE_KEY = f"""
    insert into worker.keys (id, organization_id, digest, name, agents, role, role_assumed, expires_at)
    values (%(id)s, %(organization)s, %(digest)s, %(name)s, %(agents)s, %(role)s, false,
            now() + make_interval(secs => %(seconds)s::double precision))
    returning {_KEY}
"""  # noqa: S608 - constants

LIST_KEYS = f"""
    select {_KEY} from worker.keys
    where %(organization)s::text is null or organization_id = %(organization)s order by created_at, id
"""  # noqa: S608 - constants

# Keys whose role is a default; reading them marks them as reported.
ASSUMED_KEYS = f"update worker.keys set role_assumed = false where role_assumed returning {_KEY}"  # noqa: S608 - constants

REVOKE_KEY = f"""
    update worker.keys set revoked_at = coalesce(revoked_at, now()) where id = %s returning {_KEY}
"""  # noqa: S608 - constants

FIND_KEY = f"""
    select {_KEY}, digest from worker.keys
    where digest = %s and revoked_at is null and (expires_at is null or expires_at > now())
"""  # noqa: S608 - constants

GET_KEY = f"""
    select {_KEY} from worker.keys
    where id = %s and revoked_at is null and (expires_at is null or expires_at > now())
"""  # noqa: S608 - constants

ANY_KEY = f"select {_KEY} from worker.keys where id = %s"  # noqa: S608 - constants

VALID_KEYS = """
    select id from worker.keys
    where id = any(%s::text[]) and revoked_at is null and (expires_at is null or expires_at > now())
"""

HAS_KEYS = """
    select exists (
        select from worker.keys where revoked_at is null and (expires_at is null or expires_at > now())
    ) as any
"""

HAD_KEYS = """
    select exists (select from worker.keys) or exists (select from worker.secrets where name = %s) as any
"""

REPLACE_VALUE = "update worker.secrets set value = %s where name = %s"
FIND_VALUE = "select value from worker.secrets where name = %s"

GET_OR_CREATE = """
    insert into worker.secrets as s (name, value) values (%s, %s)
    on conflict (name) do update set name = s.name returning value
"""

# Each new session also removes the expired ones.
BEGIN_SESSION = """
    with ended as (delete from worker.sessions where expires_at < now())
    insert into worker.sessions (digest, mark, expires_at)
    values (%s, %s, now() + make_interval(secs => %s::double precision))
"""
FIND_SESSION = "select mark from worker.sessions where digest = %s and expires_at > now()"
ACTIVE_SESSIONS = "select digest from worker.sessions where digest = any(%s::text[]) and expires_at > now()"
END_SESSION = "delete from worker.sessions where digest = %s"

# The name of a period's secret ends in the period's number; secrets older than 30 days are removed.
OF_PERIOD = """
    with gone as (
        delete from worker.secrets where name ~ ' [0-9]+$' and created_at < now() - interval '30 days'
    )
    insert into worker.secrets as s (name, value) values (%s, %s)
    on conflict (name) do update set name = s.name returning value
"""
