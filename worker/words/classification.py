"""Classification of errors: their code, whether a retry may help, and when. One policy for all providers."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from worker.words.error_codes import (
    BLOCKED,
    BY_NAME,
    CONNECTION_ERRORS,
    FINAL_STATUSES,
    GENERIC,
    INVALID_CALLS,
    KEY_NAMES,
    KEY_STATUSES,
    OUTAGES,
    PHRASES,
    QUOTA_PHRASES,
    RANK,
    TIMEOUTS,
    TRANSIENT,
    UNREADABLE,
    UNTRUSTED,
    VAGUE,
    WITHIN_STREAMS,
    ErrorCode,
    of_status,
    plain_name,
)
from worker.words.error_facts import OURS, Facts, attribute, facts_of, is_wrapper
from worker.words.exception_groups import exceptions_of, group_message
from worker.words.wait_hints import requested_wait

MAX_CAUSES = 50  # of one error, and members of one group; more add nothing new
CANCELLED = "CancelledError"  # in a group: a member cancelled because another member failed


@dataclass(frozen=True, slots=True)
class Classified:
    """The classification of an error.

    Args:
        code: The kind of error.
        is_retryable: Whether another try may succeed.
        provider_code: The provider's own name for the error, such as ``overloaded_error``.
        status: The HTTP status that came with it.
        wait: Seconds that the provider asked to wait, at most a day.
        message: The provider's message, if one was found.
    """

    code: ErrorCode = ErrorCode.Handler
    is_retryable: bool = False
    provider_code: str | None = None
    status: int | None = None
    wait: float | None = None
    message: str = ""

    @property
    def is_outage(self) -> bool:
        """Whether the provider is down for every caller."""
        return self.code in OUTAGES

    @property
    def is_blocked(self) -> bool:
        """Whether the provider refuses every request with this key."""
        return self.code in BLOCKED

    @property
    def is_key_refused(self) -> bool:
        """Whether the provider rejects the key itself; status 403 alone may concern one model or one request."""
        is_named = plain_name(self.provider_code or "") in KEY_NAMES
        return self.code is ErrorCode.Auth and (is_named or self.status in KEY_STATUSES)


def classify(error: BaseException) -> Classified:
    """Classify an error. This function never raises, whatever the error carries.

    The outermost recognizable error among the error and its causes decides; Agno's wrappers defer to their causes. A
    group is retryable only if all its members are.

    Args:
        error: Any exception.
    """
    with suppress(BaseException):  # the attributes of a third-party exception may raise anything
        return _classified(error, 0) or Classified()
    return Classified()


def message_of(error: BaseException) -> str:
    """Return an error's message: the provider's own, never the repr of an object; for a group, those of its members.

    Args:
        error: Any exception.
    """
    with suppress(BaseException):
        if isinstance(error, BaseExceptionGroup):
            return group_message(error, message_of)
        return _message(error)
    return type(error).__name__


def causes(error: BaseException) -> Iterable[BaseException]:
    """Iterate over an error and its causes, each once; ``from None`` ends the chain, but for Ollama's client."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = _origin(each)


def _origin(error: BaseException) -> BaseException | None:
    """Return the cause of an error; Agno raises some errors from themselves, in which case their context counts.

    Of two wrappers, the context is the failure of another call, after which this one was made: a fallback model's, say.
    """
    context = error.__context__
    if error.__cause__ is error:
        return context
    if type(error) is ConnectionError and str(error) in VAGUE:  # Ollama's, which hides why
        return context
    is_of_another_call = context is not None and is_wrapper(error) and is_wrapper(context)
    return error.__cause__ or (None if error.__suppress_context__ or is_of_another_call else context)


def _classified(error: BaseException, depth: int) -> Classified | None:
    chain = [each for each, _ in zip(causes(error), range(MAX_CAUSES), strict=False)]
    facts = [facts_of(each) for each in chain]
    found = _first(chain, facts, depth) or _of_wrapper(chain, facts)
    if found is None:
        return None
    wait = found.wait
    for each, said in zip(chain, facts, strict=True):
        wait = requested_wait(each, said) if wait is None else wait
    quota = _is_quota(facts) and found.code is not ErrorCode.Quota
    code = ErrorCode.Quota if quota else found.code
    is_retryable = found.is_retryable and not quota
    return Classified(code, is_retryable, found.provider_code, found.status, wait, found.message)


def _first(chain: Sequence[BaseException], facts: Sequence[Facts], depth: int) -> Classified | None:
    """Classify a chain by its outermost recognizable error."""
    is_wrapped = False
    final = any(_is_never_sent(each, said) for each, said in zip(chain, facts, strict=True))
    for index, (each, said) in enumerate(zip(chain, facts, strict=True)):
        if isinstance(each, BaseExceptionGroup):
            found = _of_group(each, depth)
        elif is_wrapper(each) and index + 1 < len(chain):
            is_wrapped = True
            continue
        else:
            found = _of_one(each, said, is_wrapped=is_wrapped)
        if found is not None:
            broken = final and found.status is None and found.is_retryable
            return Classified(ErrorCode.InvalidRequest, message=found.message) if broken else found
    return None


def _is_never_sent(error: BaseException, facts: Facts) -> bool:
    """Return whether a request is not sent, however often it is tried; some clients keep only the text of the cause."""
    return type(error).__name__ in INVALID_CALLS or (facts.is_remote and UNTRUSTED in facts.message)


def _of_group(group: "BaseExceptionGroup[BaseException]", depth: int) -> Classified | None:
    """Classify a group by its first member that is not retryable, else by its first member."""
    if depth > 5:  # noqa: PLR2004 - deeper than any real code nests groups
        return None
    inside = exceptions_of(group)[:MAX_CAUSES]
    own = [each for each in inside if type(each).__name__ != CANCELLED] or inside
    found = [_classified(each, depth + 1) for each in own]
    if all(each is None for each in found):
        return None
    known = [each or Classified() for each in found]
    decisive = next((each for each in known if not each.is_retryable), known[0])
    waits = [each.wait for each in known if each.wait is not None]
    return Classified(
        decisive.code,
        decisive.is_retryable,
        decisive.provider_code,
        decisive.status,
        max(waits, default=None),
        decisive.message,
    )


def _of_wrapper(chain: Sequence[BaseException], facts: Sequence[Facts]) -> Classified | None:
    """Classify a chain by the wrappers that tell something themselves, if nothing below them is recognizable."""
    for each, said in zip(chain, facts, strict=True):
        if type(each).__name__ in {"ModelRateLimitError", "ContextWindowExceededError", "MidStreamFallbackError"}:
            return _of_one(each, said, is_wrapped=False)
    return None


def _of_one(error: BaseException, facts: Facts, *, is_wrapped: bool) -> Classified | None:
    """Classify a single exception without its causes; None means that it is not recognizable."""
    code = _declared(error) or _code(error, facts, is_wrapped=is_wrapped)
    if code is None:
        return None
    is_retryable = code in TRANSIENT and facts.status not in FINAL_STATUSES
    return Classified(code, is_retryable, facts.own_code, facts.status, None, facts.message)


def _declared(error: BaseException) -> ErrorCode | None:
    """Return the code that one of our own errors declares."""
    declared = attribute(error, "error_code")
    return declared if isinstance(declared, ErrorCode) else None


def _code(error: BaseException, facts: Facts, *, is_wrapped: bool) -> ErrorCode | None:
    by_status = None if facts.status is None else of_status(facts.status)
    named = _named(facts.names)
    if named is None and by_status is None and facts.is_remote:
        named = (None if facts.body else _unreadable(error)) or _named([type(error).__name__])
    if named is not None and _says_more(named, by_status):
        return named
    if facts.is_remote and by_status in {
        None,
        ErrorCode.InvalidRequest,
        ErrorCode.Unavailable,
        ErrorCode.ContextLength,
    }:
        phrased = _phrased(facts, by_status)
        if phrased is not None:
            return phrased
    if by_status is not None:
        return _from_a_page(facts, by_status)
    is_answer = is_wrapped or facts.is_remote  # raised by a model's client, so unreadable data was the model's answer
    return named or _connection(error) or _without_a_word(error, facts) or (_unreadable(error) if is_answer else None)


def _named(names: Sequence[str]) -> ErrorCode | None:
    """Return the code that an error's names imply; of several, the most specific."""
    codes = [code for each in names if (code := BY_NAME.get(plain_name(each))) is not None]
    return min(codes, key=RANK.__getitem__, default=None)


def _says_more(named: ErrorCode, by_status: ErrorCode | None) -> bool:
    """Return whether a name is more specific than the status: ``resource_exhausted`` than 400, not ``api_error``."""
    if by_status is None:
        return True
    if named in GENERIC:
        return False
    if named is ErrorCode.RateLimited:
        return by_status is not ErrorCode.Quota
    return True


def _phrased(facts: Facts, by_status: ErrorCode | None) -> ErrorCode | None:
    text = facts.message.lower()
    for code, phrases in PHRASES.items():
        is_server = by_status is ErrorCode.Unavailable
        is_meant = by_status is None or is_server is (code is ErrorCode.Overloaded)
        if is_meant and any(phrase in text for phrase in phrases):
            return code
    return None


def _from_a_page(facts: Facts, by_status: ErrorCode) -> ErrorCode:
    """Treat a refusal with an HTML page as an invalid request: it is from a proxy before the provider, not its API."""
    is_page = "html" in facts.headers.get("content-type", "") and not facts.body
    return ErrorCode.InvalidRequest if is_page and by_status is ErrorCode.Auth else by_status


def _connection(error: BaseException) -> ErrorCode | None:
    """Return the code of a broken connection, a timeout or a call that cannot be sent; None for other errors."""
    if isinstance(error, TimeoutError):
        return ErrorCode.Timeout
    names = {each.__name__ for each in type(error).__mro__}
    if names & INVALID_CALLS:
        return ErrorCode.InvalidRequest
    if names & TIMEOUTS:
        return ErrorCode.Timeout
    return ErrorCode.Unavailable if isinstance(error, ConnectionError) or names & CONNECTION_ERRORS else None


def _without_a_word(error: BaseException, facts: Facts) -> ErrorCode | None:
    """Return the code for an error that a provider sent in the middle of a stream without naming it."""
    return ErrorCode.Unavailable if facts.is_remote and type(error).__name__ in WITHIN_STREAMS else None


def _unreadable(error: BaseException) -> ErrorCode | None:
    names = {each.__name__ for each in type(error).__mro__}
    status = attribute(error, "status_code")
    is_success = isinstance(status, int) and 200 <= status < 300  # noqa: PLR2004 - 2xx: unusable body
    return ErrorCode.InvalidResponse if is_success or names & UNREADABLE else None


def _is_quota(facts: Sequence[Facts]) -> bool:
    """Return whether a quota has to be paid for; Google uses the same error for a limit per minute, with a delay."""
    for each in facts:
        kinds = [str(detail.get("violations") or "") for detail in each.details]
        if any("PerDay" in kind for kind in kinds):
            return True
        if any("retryDelay" in detail for detail in each.details):
            return False
    text = " ".join(f"{each.message[:2000]} {' '.join(each.names)}".lower() for each in facts)
    return any(phrase in text for phrase in QUOTA_PHRASES)


def _message(error: BaseException) -> str:
    chain = [each for each, _ in zip(causes(error), range(MAX_CAUSES), strict=False)]
    own = next((each for index, each in enumerate(chain) if not is_wrapper(each) or index + 1 == len(chain)), error)
    facts = facts_of(error if type(error).__name__ in OURS else own)
    if facts.is_remote and facts.message not in {"", *VAGUE} and (own is error or facts.body):
        return facts.message
    text = facts_of(error).message.strip()
    if text in VAGUE:
        below = [facts_of(each).message.strip() for each in chain if isinstance(each, Exception)]
        why = next((said for said in reversed(below) if said not in {"", text}), None)
        return f"{text.rstrip('.')}: {why}" if why else text
    if isinstance(error, KeyError):
        return f"KeyError: {text}"
    return text or type(error).__name__
