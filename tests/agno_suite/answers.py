"""What the stand-in for a provider answers: a function of the request alone.

It calls tools first, those that the question names or else the first one, hands work to a team's first two members,
fills a JSON Schema where one is wanted, and else says a sentence that tells of the question and of the tools' results.
So an answer that goes to the wrong question shows in whatever is built on it.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema.validators import validator_for

from tests.agno_suite.comparing import settled

JSON = dict[str, Any]

MAX_TOOLS = 2  # that are called side by side
MAX_MEMBERS = 2
MAX_LEVELS = 6  # of a schema that refers to itself
EMAIL = re.compile(r"[\w.]+@[\w.]+\w")
QUOTED = re.compile(r"['\"]([^'\"]{1,60})['\"]")
ABOUT = re.compile(r"\b(?:add|remove|delete|named|called|for|about|of|in)\s+(\w+)", re.IGNORECASE)
MEMBER = re.compile(r'<member (?:id|name)="([^"]+)"')
FIELDS = re.compile(r"<json_field_properties>\s*(.*?)\s*</json_field_properties>", re.DOTALL)
NAMED: JSON = {"city": "Tokyo", "location": "Tokyo", "symbol": "TSLA", "ticker": "TSLA", "expression": "2 + 2"}
BY_TYPE: JSON = {"integer": 2, "number": 1.5, "boolean": True, "null": None}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, whatever protocol it came by.

    Args:
        system: What the system says.
        users: What users said, in order.
        results: Of tools, since the last user spoke.
        tools: Names and schemas of what may be called.
        schema: That the answer should fit; None if it is free.
        model: The model's name.
    """

    system: str
    users: Sequence[str]
    results: Sequence[str]
    tools: Sequence[tuple[str, JSON]]
    schema: JSON | None
    model: str

    @property
    def last(self) -> str:
        """What was asked last."""
        return self.users[-1] if self.users else ""

    @property
    def mark(self) -> str:
        """Tells questions apart."""
        known = settled([self.model, self.last, list(self.results), [name for name, _ in self.tools]])
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        text: What is said, if no tools are called.
        calls: Tools to be called: id, name, arguments.
    """

    text: str = ""
    calls: list[tuple[str, str, JSON]] = field(default_factory=list[tuple[str, str, JSON]])


def answer_to(question: Question) -> Answer:
    """Answer a question."""
    if question.tools and not question.results:
        calls = [*_delegations(question), *_own_calls(question)]
        if calls:  # a team may be without members
            return Answer(
                calls=[(f"call_{question.mark}{number}", name, given) for number, (name, given) in enumerate(calls)]
            )
    schema = question.schema or _described(question.system)
    if schema is not None:
        return Answer(json.dumps(value_for(schema, question)))
    told = " | ".join(settled(each)[:300] for each in question.results)  # no id is cut in two
    before = " / ".join(each[:100] for each in question.users[-4:-1])
    said = f"Answer {question.mark} to {question.last[:600]} with {len(question.results)} results: {told}"
    return Answer(f"{said} Before that: {before}" if before else said)


def text_in(content: Any) -> str:
    """The text of a message's content, in whatever form a protocol has it."""
    if isinstance(content, list):
        return " ".join(text_in(each.get("text") or each.get("content")) for each in content if isinstance(each, dict))
    return "" if content is None else str(content)


def _delegations(question: Question) -> list[tuple[str, JSON]]:
    found = next(((name, schema) for name, schema in question.tools if name.startswith("delegate_task_to")), None)
    if found is None:
        return []
    name, schema = found
    if "member_id" not in (schema.get("properties") or {}):
        return [(name, {"task": f"all of: {question.last[:60]}"})]
    members = list(dict.fromkeys(MEMBER.findall(question.system)))[:MAX_MEMBERS]
    return [
        (name, {"member_id": each, "task": f"part {index} of: {question.last[:60]}"})
        for index, each in enumerate(members)
    ]


def _own_calls(question: Question) -> list[tuple[str, JSON]]:
    others = [each for each in question.tools if not each[0].startswith("delegate_task_to")]
    said = question.last.lower()
    named = sorted((each for each in others if _closeness(each[0], said)), key=lambda each: -_closeness(each[0], said))
    chosen = named[:MAX_TOOLS] or (others[:1] if len(others) == len(question.tools) else [])
    return [(name, _arguments(schema, question)) for name, schema in chosen]


def _closeness(name: str, said: str) -> int:
    return sum(word in said for word in name.lower().split("_") if len(word) > 2)


def _arguments(schema: JSON, question: Question) -> JSON:
    required = schema.get("required")
    properties = schema.get("properties") or {}
    wanted = properties if required is None else {name: each for name, each in properties.items() if name in required}
    return value_for({**schema, "type": "object", "properties": wanted}, question)


def _described(system: str) -> JSON | None:
    """The form that Agno describes in words to models without one of their own."""
    found = FIELDS.search(system)
    if found is None:
        return None
    try:
        properties = json.loads(found.group(1))
    except ValueError:
        return None
    definitions = properties.pop("$defs", {})
    return {"type": "object", "properties": properties, "$defs": definitions}


def value_for(schema: JSON, question: Question, name: str = "", definitions: JSON | None = None, level: int = 0) -> Any:
    """A value that fits a schema."""
    known: JSON = definitions or schema.get("$defs") or {}
    if level > MAX_LEVELS:
        return None
    if "$ref" in schema:
        return value_for(known.get(schema["$ref"].rpartition("/")[2], {}), question, name, known, level + 1)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            first = next((each for each in schema[choice] if each.get("type") != "null"), {})
            return value_for(first, question, name, known, level + 1)
    return _of_type(schema, question, name, known, level)


def _of_type(schema: JSON, question: Question, name: str, definitions: JSON, level: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "string")
    if kind == "object" or "properties" in schema:
        inside = schema.get("properties") or {}
        return {each: value_for(inner, question, each, definitions, level + 1) for each, inner in inside.items()}
    if kind == "array":
        item = value_for(schema.get("items") or {}, question, name, definitions, level + 1)
        return [item] * max(schema.get("minItems", 1), 1)
    if kind in ("integer", "number"):
        number = BY_TYPE[kind]
        return min(max(schema.get("minimum", number), number), schema.get("maximum", number))
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    words = (_word_for(name, question.last), NAMED.get(name, name), "text")
    return next((each for each in words if validator_for(schema)(schema).is_valid(each)), words[0])


def _word_for(name: str, said: str) -> str:
    """A text: what is quoted after its name, or anywhere, else what the question seems to be about."""
    if name in ("to", "email") and EMAIL.search(said):
        return EMAIL.findall(said)[0]
    after = re.search(rf"{re.escape(name)}\b[^'\"]{{0,20}}['\"]([^'\"]{{1,60}})['\"]", said) if name else None
    quoted = after or QUOTED.search(said)
    if quoted:
        return quoted.group(1)
    about = ABOUT.search(said)
    return NAMED.get(name) or (about.group(1) if about else f"{name or 'text'} of it")
