"""The language of a document, and how its words are stored so that a search reads a single knowledge base.

Each word is stored with a prefix: the number of its knowledge base and the letters of its language. In the index, the
words of each base are therefore apart, and the size of the other bases does not matter.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from worker.words.errors import ValidationError
from worker.words.search_texts import words_of

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PLAIN = "simple"
SAMPLE_WORDS = 400
MIN_SHARE = 0.08  # of stop words, such as "the": English prose has some 45 %, a table of figures none
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LONGEST_WORD = 200  # characters; longer tokens are not words

# PostgreSQL's dictionaries know the stop words of their language: choose the one whose stop words are most frequent.
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
    """Return the language of a document by PostgreSQL's name for it; ``simple`` if it is not recognized."""
    words: list[str] = []
    for text in texts:
        words += words_of(text, SAMPLE_WORDS - len(words))
        if len(words) >= SAMPLE_WORDS:
            break
    if not words:
        return PLAIN
    asked = {"words": words, "least": max(1.0, MIN_SHARE * len(words))}
    row = await (await connection.execute(RECOGNIZE, asked)).fetchone()
    return PLAIN if row is None else str(row[0])


def check_language(language: str, known: Sequence[str]) -> None:
    """Raise ValidationError unless the server has a text search configuration for a language."""
    if language not in known:
        raise ValidationError(f"the language must be one of {', '.join(known)}", field="language")


def mark_of(base: int, language: str) -> str:
    """Return the prefix of a knowledge base's words in a language: short, and never the beginning of another one."""
    number, digits = base, ""
    while True:
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
        if not number:
            return f"{digits}{language.upper()[:3] if language != PLAIN else 'X'}_"
