"""Files reach a provider in a form that it accepts: what comes by its wire is held against what it refuses."""

import base64
import io
import json
from functools import cache
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.models.aws import AwsBedrock
from agno.models.google import Gemini
from agno.models.openai import OpenAIChat, OpenAIResponses
from fpdf import FPDF
from PIL import Image

from tests.inputs.servers import pdf
from tests.inputs.test_inputs_pictures import bare_jpeg, moving, written
from tests.providers.accepted import ACCEPTED, PARTS, refusal
from tests.providers.answers import Refused, Reply, Says
from tests.providers.standin import WIRES, Request, StandIn
from worker.agents.models.capabilities import of_model
from worker.inputs import Attachment, Attachments, Kind, adapt, compose_message, to_agno_files, to_agno_images
from worker.inputs.adapt import fit_blocking
from worker.words.models import ModelCapabilities

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Agno's, before Python 3.13

MODELS: dict[str, Any] = {
    "openai-chat": OpenAIChat(id="gpt-4o"),
    "openai-responses": OpenAIResponses(id="gpt-5"),
    "anthropic": Claude(id="claude-sonnet-4-5"),
    "gemini": Gemini(id="gemini-2.5-pro"),
    "bedrock": AwsBedrock(id="us.anthropic.claude-sonnet-4-5-v1:0"),
}


FITTED: dict[ModelCapabilities, Attachments] = {}
"""The difficult files as they were made to fit; several providers take the same."""


def file(kind: Kind, content: bytes, media_type: str, name: str, pages: int | None = None) -> Attachment:
    return Attachment(f"https://a.test/{name}", kind, media_type, name, content, pages=pages)


def image(content: bytes, media_type: str, name: str = "a") -> Attachment:
    return file(Kind.IMAGE, content, media_type, name)


def document(content: bytes, name: str, pages: int) -> Attachment:
    return file(Kind.PDF, content, "application/pdf", name, pages)


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 90).save(out, "PNG")
    return out.getvalue()


@cache
def blank(pages: int) -> bytes:
    made = FPDF()
    for _ in range(pages):
        made.add_page()
    return bytes(made.output())


def difficult() -> dict[str, Attachment]:
    """Files that one provider or another refuses as they are."""
    return {
        "tiff": image(written("TIFF"), "image/tiff"),
        "cmyk": image(written("JPEG", "CMYK"), "image/jpeg"),
        "moving": image(moving(), "image/gif"),
        "bare jpeg": image(bare_jpeg(), "image/jpeg"),
        "wide": image(png(9_000, 100), "image/png"),
        "protected": document(pdf("Nobody may change this.", password=""), "отчёт.pdf", 1),
        "of one name": document(pdf("hello"), "план.pdf", 1),
        "long": document(blank(150), "a_  long.pdf", 150),
    }


@cache
def handed_out() -> Attachments:
    return fit_blocking(Attachments(tuple(difficult()[name] for name in ("tiff", "wide", "protected"))))


async def asked(wire: str, attachments: Attachments) -> tuple[Request | None, str]:
    """What a provider was asked, and what came of it: its refusal, or that it took it."""

    def script(_: int, request: Request) -> Reply:
        why = refusal(wire, request.body, len(json.dumps(request.body)))
        return Says(("taken",)) if why is None else Refused(400, why, "invalid_request")

    files, images = to_agno_files(attachments), to_agno_images(attachments)
    with StandIn(WIRES[wire], script) as server:
        agent = Agent(model=server.model(), telemetry=False)
        output = await agent.arun("What is it?", files=files, images=images)
        await server.close_clients()
    return (server.requests[0] if server.requests else None), str(output.content)


@pytest.mark.parametrize("wire", ACCEPTED)
async def test_every_provider_takes_what_it_is_sent_and_all_of_it_arrives(wire: str) -> None:
    takes = of_model(MODELS[wire])
    if takes not in FITTED:
        FITTED[takes] = await adapt(Attachments(tuple(difficult().values())), takes)
    fitting = FITTED[takes]
    request, answer = await asked(wire, fitting)
    assert answer == "taken"
    assert request is not None
    sent = fitting.images + fitting.pdfs
    assert len(list(PARTS[wire](request.body))) == len(sent)
    assert (len(fitting.images), len(fitting.pdfs)) == (5, 3)
    assert fitting.pdfs[-1].pages == (150 if wire == "gemini" else 98)


REFUSED = [
    *(("anthropic", each) for each in ("tiff", "cmyk", "wide", "protected", "long")),
    *(("openai-chat", each) for each in ("moving", "protected", "long")),
    *(("openai-responses", each) for each in ("tiff", "long")),
    *(("gemini", each) for each in ("moving", "protected")),
    *(("bedrock", each) for each in ("wide", "long")),
]


@pytest.mark.parametrize(("wire", "which"), REFUSED, ids=lambda value: str(value).replace(" ", "-"))
async def test_as_they_are_they_would_be_refused(wire: str, which: str) -> None:
    request, answer = await asked(wire, Attachments((difficult()[which],)))
    assert answer != "taken" or not list(PARTS[wire](request.body if request else {}))


async def test_where_there_are_many_pictures_all_are_smaller() -> None:
    many = Attachments(tuple(image(png(2_100, 8), "image/png", str(number)) for number in range(21)))
    assert "(2100, 8) is more than 2000" in (await asked("anthropic", many))[1]
    fitting = await adapt(many, of_model(MODELS["anthropic"]))
    assert (await asked("anthropic", fitting))[1] == "taken"
    assert len(fitting.images) == 21
    fewer = await adapt(many, of_model(MODELS["bedrock"]))
    assert (await asked("bedrock", fewer))[1] == "taken"
    assert len(fewer.images) == 20
    assert fewer.notes[-1] == (
        "20 could not be attached: the model's provider accepts at most 20 pictures per request."
    )


async def test_the_sixth_document_is_text_on_bedrock_and_one_too_large_is_cut() -> None:
    many = Attachments(tuple(document(pdf(f"Page {number}."), "план.pdf", 1) for number in range(6)))
    assert "6 documents" in (await asked("bedrock", many))[1]
    fitting = await adapt(many, of_model(MODELS["bedrock"]))
    assert (await asked("bedrock", fitting))[1] == "taken"
    assert [each.kind for each in fitting.items] == [*[Kind.PDF] * 5, Kind.TEXT]
    assert "Page 5." in compose_message("?", [], fitting)
    assert len({each.name for each in to_agno_files(fitting)}) == 5


async def test_a_large_context_of_anthropics_takes_600_pages() -> None:
    long = Attachments((document(blank(601), "long.pdf", 601),))
    large = of_model(Claude(id="claude-sonnet-5-5"))
    assert (await adapt(long, large)).notes == ("long.pdf: the model receives only the first 600 pages of 601.",)
    assert of_model(AwsBedrock(id="anthropic.claude-sonnet-5-5")).pdf_pages == 100


@pytest.mark.parametrize("wire", ACCEPTED)
async def test_what_a_task_hands_out_suits_all_of_them(wire: str) -> None:
    assert (await asked(wire, handed_out()))[1] == "taken"


def test_a_model_on_bedrock_that_sees_nothing_is_given_text() -> None:
    assert not of_model(AwsBedrock(id="meta.llama3-3-70b-instruct-v1:0")).images
    assert of_model(AwsBedrock(id="eu.amazon.nova-pro-v1:0")).pictures.number == 20


def test_base64_is_what_the_limits_count() -> None:
    assert len(base64.b64encode(b"x" * ModelCapabilities().pictures.size)) <= 5 * 1024 * 1024
