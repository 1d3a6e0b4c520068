"""The tables of docs/guides/files.md, made from the code: ``python -m tests.docs.files_table`` writes them anew."""

from pathlib import Path
from typing import Any

from worker.agents.models.capabilities import MORE_PAGES, of_model
from worker.inputs.kinds import TYPES
from worker.inputs.names import size_words
from worker.words.models import ModelCapabilities

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "files.md"
BEGIN, END = "<!-- made from the code: python -m tests.docs.files_table -->\n", "<!-- end -->\n"


def models() -> dict[str, Any]:
    """A model of each family, by what the table calls it."""
    from agno.models.anthropic import Claude
    from agno.models.aws import AwsBedrock
    from agno.models.google import Gemini
    from agno.models.openai import OpenAIChat, OpenAIResponses
    from agno.models.openai.like import OpenAILike

    return {
        "OpenAI": OpenAIResponses(id="gpt-5"),
        "OpenAI's audio models": OpenAIChat(id="gpt-audio"),
        "Claude": Claude(id="claude-sonnet-4-5"),
        "Gemini": Gemini(id="gemini-2.5-pro"),
        "Bedrock (Claude, Nova)": AwsBedrock(id="amazon.nova-pro-v1:0"),
        "others": OpenAILike(id="mine", base_url="https://models.example/v1"),
    }


def tables() -> str:
    """Both tables, as the page has them."""
    return f"{_of_providers()}\n{_of_kinds()}"


def _of_providers() -> str:
    taken = {name: of_model(model) for name, model in models().items()}
    rows = {
        "PDF": [_pdfs(name, each) for name, each in taken.items()],
        "image": [_images(each) for each in taken.values()],
        "audio": [_recordings(each.audio, "audio") for each in taken.values()],
        "video": [_recordings(each.video, "video") for each in taken.values()],
        "text, document": ["part of the message"] * len(taken),
        "whole request": [size_words(each.request) if each.images or each.audio else "-" for each in taken.values()],
    }
    return _table(["", *taken], [[name, *cells] for name, cells in rows.items()])


def _of_kinds() -> str:
    rows = [
        [each.words.split(" ", 1)[1], each.becomes, "`files`" if each.library else ""]
        for each in TYPES.values()
        if each.reader is not None
    ]
    return _table(["document", "becomes part of the message as", "extra"], rows)


def _pdfs(name: str, takes: ModelCapabilities) -> str:
    if not takes.pdfs:
        return "its text (of scans, by OCR)"
    more = f" ({MORE_PAGES} where the context has a million tokens)" if name == "Claude" else ""
    few = f"; {takes.documents} of {size_words(takes.document_size)} each" if takes.documents < 10 else ""
    return f"`File`: {takes.pdf_pages:,} pages{more}{few}"


def _images(takes: ModelCapabilities) -> str:
    if not takes.images:
        return "its text (by OCR)"
    limits = takes.pictures
    forms = ", ".join(sorted(each.partition("/")[2] for each in limits.types))
    many = f", {limits.side_of_many:,} where there are more than {limits.few}" if limits.few < limits.number else ""
    each = f"{limits.side:,} pixels{many}, {size_words(limits.size)}"
    return f"`Image`: {forms}; {each}; {limits.number:,} of them"


def _recordings(types: frozenset[str], kind: str) -> str:
    forms = ", ".join(sorted(each.partition("/")[2] for each in types))
    return f"`{kind.capitalize()}`: {forms}" if forms else "a note"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the tables into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
