"""The SQL of knowledge bases."""

from typing import Any

_BASE = """
    b.id, b.organization_id, b.name, b.description, b.language, b.embedder, b.created_at,
    b.embedder is not null and to_regclass('worker.knowledge_vectors') is not null as has_vectors,
    (select count(*) from worker.knowledge_documents d where d.base = b.number and d.status <> 'unreadable')
        as total_documents
"""

CREATE = """
    insert into worker.knowledge_bases (organization_id, id, name, description, language, embedder, agents)
    values (%(organization)s, %(id)s, %(name)s, %(description)s, %(language)s, %(embedder)s, %(agents)s)
"""

# The bases that a key limited to some agents can access: those that they search, and those created by such a key.
WITHIN = """
    select b.id from worker.knowledge_bases b
    where b.organization_id = %(organization)s and (b.agents && %(agents)s::text[] collate "C" or b.id in (
        select k->>'id' from worker.agents a cross join lateral json_array_elements(
            case when json_typeof(a.record->'knowledge_bases') = 'array' then a.record->'knowledge_bases' else '[]' end
        ) k where a.organization_id = %(organization)s and a.id = any(%(agents)s::text[])
    ))
"""

LIST = f"select {_BASE} from worker.knowledge_bases b where b.organization_id = %s order by b.name, b.id"  # noqa: S608 - constants

GET = f"select {_BASE}, b.number from worker.knowledge_bases b where b.organization_id = %s and b.id = %s"  # noqa: S608 - constants

# The fields that a search needs, and no others, since every search reads them.
SEARCHED = """
    select number, embedder, dimensions,
           dimensions is not null and to_regclass('worker.knowledge_vectors') is not null as has_vectors
    from worker.knowledge_bases where organization_id = %s and id = %s
"""

DELETE = "delete from worker.knowledge_bases where organization_id = %s and id = %s returning number"

ORPHANS = """
    select distinct e.base from worker.knowledge_editions e
    where not exists (select from worker.knowledge_bases b where b.number = e.base)
"""

# Deletes the contents of a deleted knowledge base, some rows at a time; nothing refers to them any longer. The
# editions go last, since they show what a crash has left.
_LEFT = """
    delete from worker.{table} where ctid = any(array(
        select ctid from worker.{table} where base = %(base)s limit %(batch)s
    ))
"""
LEFT = tuple(_LEFT.format(table=each) for each in ("knowledge_chunks", "knowledge_terms", "knowledge_editions"))
LEFT_VECTORS = _LEFT.format(table="knowledge_vectors")

# A document that exists keeps its passages until it has been read again; it becomes pending.
ADD_DOCUMENTS = """
    insert into worker.knowledge_documents as d (base, id, url, name, task_id)
    select %(base)s, id, url, name, %(task)s
    from unnest(%(ids)s::text[], %(urls)s::text[], %(names)s::text[]) as n(id, url, name)
    on conflict (base, id) do update set url = excluded.url, task_id = excluded.task_id, status = 'pending',
        note = null, added_at = now()
"""

SERVED = """
    select 1 from worker.workers
    where organization_id = %s and gone_at is null and not is_draining and reads_documents limit 1
"""

_DOCUMENT = """
    d.id, d.url as document_url, d.name, d.status, d.note, d.chunks, d.task_id, d.added_at
"""

DOCUMENTS = f"select {_DOCUMENT} from worker.knowledge_documents d where d.base = %s order by d.added_at desc, d.id"  # noqa: S608 - constants

DOCUMENTS_OF = f"select {_DOCUMENT} from worker.knowledge_documents d where d.base = %s and d.id = any(%s::text[])"  # noqa: S608 - constants

REMOVE_DOCUMENTS = """
    delete from worker.knowledge_documents where base = %(base)s and id = any(%(documents)s::text[]) returning id
"""

EDITIONS_OF = """
    select number from worker.knowledge_editions
    where base = %(base)s and document = any(%(documents)s::text[]) for update
"""

# Whether an attempt owns its task, and the task is one that reads documents: no other may write passages.
OWNER = """
    select 1 from worker.tasks where id = %s and organization_id = %s and status = 'executing' and attempt = %s
       and agent_id = %s for share
"""

BASE = "select number, dimensions from worker.knowledge_bases where organization_id = %s and id = %s for key share"

# No row if the document was added again meanwhile, and is read by another task.
DOCUMENT = """
    select 1 from worker.knowledge_documents
    where base = %(base)s and id = %(document)s and task_id = %(task)s for update
"""

LANGUAGE = "select language from worker.knowledge_bases where number = %(base)s"

EDITION = """
    select number, language, is_live from worker.knowledge_editions
    where base = %(base)s and document = %(document)s and task_id = %(task)s and attempt = %(attempt)s
    order by number desc limit 1
"""

UNFINISHED = """
    select number from worker.knowledge_editions
    where base = %(base)s and document = %(document)s and not is_live for update
"""

NEW_EDITION = """
    insert into worker.knowledge_editions (base, document, task_id, attempt, language)
    values (%(base)s, %(document)s, %(task)s, %(attempt)s, %(language)s) returning number
"""

FORMER = """
    select number from worker.knowledge_editions
    where base = %(base)s and document = %(document)s and number <> %(edition)s for update
"""

GO_LIVE = """
    with live as (update worker.knowledge_editions set is_live = true where number = %(edition)s)
    update worker.knowledge_documents set status = 'ready', name = %(name)s, note = %(note)s,
        chunks = (select count(*) from worker.knowledge_chunks where base = %(base)s and edition = %(edition)s)
    where base = %(base)s and id = %(document)s
"""

UNREADABLE = """
    update worker.knowledge_documents set status = %(status)s, name = %(name)s, note = %(note)s
    where base = %(base)s and id = %(document)s and task_id = %(task)s
"""

# Each word with the prefix of its base, and with its positions, which show how often it occurs.
INSERT_CHUNKS = """
    with given as materialized (
        select g.number, g.heading, g.page, g.content, to_tsvector(%(language)s::regconfig, g.text) as plain
        from unnest(%(numbers)s::integer[], %(headings)s::text[], %(pages)s::integer[], %(contents)s::text[],
                    %(texts)s::text[]) as g(number, heading, page, content, text)
    ), said as materialized (
        select g.number, l.lexeme, l.positions from given g cross join lateral unnest(g.plain) l
        where length(l.lexeme) <= %(longest)s
    ), marked as materialized (
        select number, sum(cardinality(positions)) as length, string_agg(
            '''' || %(mark)s || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || ''':'
                 || array_to_string(positions, ','), ' ')::tsvector as words
        from said group by number
    )
    insert into worker.knowledge_chunks (base, edition, number, heading, page, content, words, length)
    select %(base)s, %(edition)s, g.number, g.heading, g.page, g.content, coalesce(m.words, ''::tsvector),
           coalesce(m.length, 0)
    from given g left join marked m using (number)
    on conflict (base, edition, number) do nothing
"""

# Counts the words of an edition that goes live; in the same order for all, so that documents cannot deadlock.
COUNT = """
    insert into worker.knowledge_terms as t (base, language, term, chunks, length)
    select %(base)s, %(language)s, n.term, n.chunks, n.length from (
        select substr(w.word, %(skip)s) collate "C" as term, count(*) as chunks, 0 as length
        from worker.knowledge_chunks c cross join lateral unnest(tsvector_to_array(c.words)) as w(word)
        where c.base = %(base)s and c.edition = %(edition)s group by 1
        union all
        select '', count(*), coalesce(sum(c.length), 0) from worker.knowledge_chunks c
        where c.base = %(base)s and c.edition = %(edition)s
    ) n order by n.term
    on conflict (base, language, term) do update
        set chunks = t.chunks + excluded.chunks, length = t.length + excluded.length
"""

LANGUAGES_OF = """
    select distinct language from worker.knowledge_editions
    where number = any(%(editions)s::bigint[]) and is_live order by language
"""

UNCOUNT = """
    with gone as materialized (
        select c.words, c.length from worker.knowledge_chunks c join worker.knowledge_editions e on e.number = c.edition
        where c.base = %(base)s and c.edition = any(%(editions)s::bigint[]) and e.language = %(language)s and e.is_live
    ), counted as materialized (
        select term, chunks, length from (
            select substr(w.word, %(skip)s) collate "C" as term, count(*) as chunks, 0 as length
            from gone g cross join lateral unnest(tsvector_to_array(g.words)) as w(word) group by 1
            union all
            select '', count(*), coalesce(sum(length), 0) from gone
        ) n
    ), locked as materialized (
        select t.term, c.chunks, c.length from worker.knowledge_terms t join counted c on c.term = t.term
        where t.base = %(base)s and t.language = %(language)s order by t.term for update of t
    )
    update worker.knowledge_terms t set chunks = t.chunks - l.chunks, length = t.length - l.length from locked l
    where t.base = %(base)s and t.language = %(language)s and t.term = l.term
"""

DROP_CHUNKS = "delete from worker.knowledge_chunks where base = %(base)s and edition = any(%(editions)s::bigint[])"

DROP_VECTORS = "delete from worker.knowledge_vectors where base = %(base)s and edition = any(%(editions)s::bigint[])"

DROP_EDITIONS = "delete from worker.knowledge_editions where number = any(%(editions)s::bigint[])"

# The languages of a base, the number and length of their passages, and how many passages contain each query word.
TERMS = """
    select a.language, a.chunks as total, a.length, l.lexeme, coalesce(t.chunks, 0) as chunks
    from worker.knowledge_terms a
    cross join lateral unnest(to_tsvector(a.language::regconfig, %(query)s)) l
    left join worker.knowledge_terms t on t.base = a.base and t.language = a.language and t.term = l.lexeme
    where a.base = %(base)s and a.term = '' and a.chunks > 0 and length(l.lexeme) <= %(longest)s
"""

# BM25 (Robertson and others, 1994; k1 = 1.2, b = 0.75), divided by the highest possible score. ts_rank of a single word
# reveals how often it occurs: it sums 1/n² over its positions and divides by pi²/6, so the difference to 1 is about
# 0.608 / (positions + 1/2), which rounded gives their number. Only passages with one of the most selective words are
# ranked.
RANK = """
    with looked as materialized (
        select c.edition, c.number, c.words, 1.2 * (0.25 + 0.75 * c.length / %(average)s::float8) as k
        from worker.knowledge_chunks c
        where c.words @@ %(candidates)s::tsquery limit %(most)s
    )
    select r.edition, r.number, r.score from (
        select l.edition, l.number, (
            select sum(q.weight * t.often * 2.2 / (t.often + l.k))
            from unnest(%(terms)s::tsquery[], %(weights)s::float8[]) as q(term, weight)
            cross join lateral (select ts_rank('{1,1,1,1}', l.words, q.term) as rank) f
            cross join lateral (select round(0.6079 / (1 - f.rank) - 0.5) as often where f.rank > 0) t
        ) / %(best)s as score
        from looked l
    ) r join worker.knowledge_editions e on e.number = r.edition and e.is_live
    where r.score is not null order by r.score desc, r.edition, r.number limit %(limit)s
"""

FETCH = """
    select c.edition, c.number, c.content, c.heading, c.page, d.id as document_id, d.url as document_url,
           d.name as document_name
    from unnest(%(editions)s::bigint[], %(numbers)s::integer[]) as w(edition, number)
    join worker.knowledge_chunks c on c.base = %(base)s and c.edition = w.edition and c.number = w.number
    join worker.knowledge_editions e on e.number = c.edition
    join worker.knowledge_documents d on d.base = e.base and d.id = e.document
"""


def insert_vectors(place: str) -> Any:
    """Return the SQL that stores vectors; ``place`` is the schema of pgvector, quoted."""
    return (
        "insert into worker.knowledge_vectors (base, edition, number, embedding)"  # noqa: S608 - constants, and a quoted name
        f" select %(base)s, %(edition)s, v.number, v.embedding::{place}.halfvec"
        " from unnest(%(numbers)s::integer[], %(vectors)s::text[]) as v(number, embedding)"
        " on conflict (base, edition, number) do nothing"
    )


def nearest(place: str, base: int, dimensions: int) -> Any:
    """Return the SQL that finds the nearest vectors; numbers are literals, so that the base's index applies."""
    kind = f"{place}.halfvec({int(dimensions)})"
    near = f"v.embedding::{kind} operator({place}.<=>) %(vector)s::{kind}"
    return (
        f"select n.edition, n.number, 1 - n.distance as score from ("  # noqa: S608 - the same
        f" select v.edition, v.number, {near} as distance from worker.knowledge_vectors v where v.base = {int(base)}"
        f" order by {near} limit %(limit)s) n"
        " join worker.knowledge_editions e on e.number = n.edition and e.is_live"
        " order by n.distance, n.edition, n.number"
    )
