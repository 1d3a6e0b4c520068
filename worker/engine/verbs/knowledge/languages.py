"""Which language a document is in, and how its words are kept, so that a search looks at one knowledge base alone.

A word is kept with the number of its knowledge base, and a letter for its language, before it. The index then has the
words of each base apart: how large the others are plays no part.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from worker.words.errors import ValidationError
from worker.words.search_texts import words_of

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PLAIN = "simple"
SAMPLE_WORDS = 400
LEAST_SHARE = 0.08  # of words that say nothing, such as "the": English prose has some 45 %, a table of figures none
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LONGEST_WORD = 200  # characters; longer ones are no words

# The dictionaries of PostgreSQL know the words of their language that say nothing: whose are most frequent?
RECOGNIZE: LiteralString = """
    select left(d.dictname, -5) as language
    from pg_ts_dict d cross join unnest(%(words)s::text[]) as w(word)
    where d.dictname like '%%\\_stem' and d.dictnamespace = 'pg_catalog'::regnamespace
      and exists (select from pg_ts_config c where c.cfgname = left(d.dictname, -5)
                     and c.cfgnamespace = 'pg_catalog'::regnamespace)
    group by d.dictname
    having count(*) filter (where ts_lexize(d.oid::regdictionary, w.word) = '{}') >= %(least)s
    order by count(*) filter (where ts_lexize(d.oid::regdictionary, w.word) = '{}') desc, d.dictname limit 1
"""

LANGUAGES: LiteralString = """
    select cfgname as language from pg_ts_config where cfgnamespace = 'pg_catalog'::regnamespace order by cfgname
"""


async def recognized(connection: "AsyncConnection[Any]", texts: Sequence[str]) -> str:
    """The language of a document, as PostgreSQL calls it; ``simple`` where it is none that it knows."""
    words: list[str] = []
    for text in texts:
        words += words_of(text, SAMPLE_WORDS - len(words))
        if len(words) >= SAMPLE_WORDS:
            break
    if not words:
        return PLAIN
    asked = {"words": words, "least": max(1.0, LEAST_SHARE * len(words))}
    row = await (await connection.execute(RECOGNIZE, asked)).fetchone()
    return PLAIN if row is None else str(row[0])


def check_language(language: str, known: Sequence[str]) -> None:
    """Let pass what the server has a configuration for. Raises: ValidationError."""
    if language not in known:
        raise ValidationError(f"the language is one of {', '.join(known)}", field="language")


def mark_of(base: int, language: str) -> str:
    """What stands before the words of a knowledge base that are in a language: small, and no other's beginning."""
    number, digits = base, ""
    while True:
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
        if not number:
            return f"{digits}{language.upper()[:3] if language != PLAIN else 'X'}_"
