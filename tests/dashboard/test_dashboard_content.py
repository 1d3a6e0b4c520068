"""What models and users wrote is shown as what it is, and runs nowhere; lists stay quick; streams resume."""

import asyncio
import base64
import hashlib
import io
import json
import re
import time
import wave
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.conftest import execute
from tests.contract.steps import run
from tests.dashboard.browsing import KEY, Browser
from tests.dashboard.conftest import Browse
from tests.server.conftest import Start
from tests.server.serving import Serving
from worker.dashboard import results
from worker.engine.engine import Engine
from worker.face.ingesting import ingest_here
from worker.inputs.names import size_words
from worker.words.artifacts import Artifact
from worker.words.ids import new_id
from worker.words.tools import ToolRecord
from worker.words.work import WorkerCard

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>{{7*7}}"
FORBIDDEN = re.compile(r"<script>|<img src=x|<svg/onload|onerror=alert\(2\)>(?!&)")
STATIC = Path(results.__file__).parent / "static"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def api(serving: Serving) -> Any:
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        yield client


async def made(api: httpx.AsyncClient, agent: str = "analyst", **fields: Any) -> str:
    body = {"input": {"text": "x"}, **fields}
    return (await api.post(f"/agent-execution/{agent}", json=body)).raise_for_status().json()["id"]


async def ended(api: httpx.AsyncClient, result: str, **fields: Any) -> str:
    task_id = await made(api, **fields)
    changes = {"status": "completed", "result": result, "internal_status": EVIL[:200]}
    (await api.patch(f"/agent-execution/{task_id}/update", json=changes)).raise_for_status()
    return task_id


async def test_hostile_text_is_escaped_wherever_it_is_shown(api: httpx.AsyncClient, browser: Browser) -> None:
    task_id = await made(
        api,
        title=EVIL,
        input={"text": EVIL, "user": {"id": EVIL}},
        instructions_override=EVIL,
        expected_output=EVIL,
        output_schema={"title": EVIL},
    )
    events = [
        {"type": "chunk", "data": EVIL},
        {
            "type": "tool_call_request",
            "data": {"request_id": "r", "operation_id": "o", "tool_name": EVIL, "payload": {EVIL: EVIL}},
        },
        {
            "type": "tool_call_result",
            "data": {"request_id": "r", "operation_id": "o", "result": EVIL, "is_error": True},
        },
        {"type": "think", "data": {"title": EVIL, "thought": EVIL}},
        {"type": "sub_agent_trigger", "data": {"agent_id": EVIL, "query": EVIL}},
        {"type": "note", "data": {"text": EVIL, "kind": EVIL}},
        {"type": "plan_updated", "data": {EVIL: [EVIL]}},
        {"type": "tool_call_request", "data": EVIL},
    ]
    (await api.post(f"/agent-execution/{task_id}/events/push", json=events)).raise_for_status()
    changes = {"status": "error", "result": EVIL, "internal_status": EVIL}
    (await api.patch(f"/agent-execution/{task_id}/update", json=changes)).raise_for_status()
    for path in ("/", f"/ui/tasks/{task_id}", f"/ui/new?from={task_id}", "/ui/dead", "/ui/agents"):
        page = await browser.look(path)
        assert not FORBIDDEN.search(page), path
        assert "49" not in re.findall(r"\{\{|49(?=<)", page), path
    for where in ("text", "agent", "user", "internal_status"):
        assert not FORBIDDEN.search(await browser.look(f"/?{urlencode({where: EVIL})}"))
    async with browser.client.stream("GET", f"/ui/tasks/{task_id}/stream?after=0") as stream:
        assert not FORBIDDEN.search((await stream.aread()).decode())


async def test_markdown_is_rendered_and_nothing_in_it_runs(api: httpx.AsyncClient, browser: Browser) -> None:
    text = (
        "# Title\n\n**bold** [good](https://example.com) [bad](javascript:alert(1)) [worse](data:text/html,x)\n\n"
        f"![pixel](https://evil.example/pixel.png)\n\n{EVIL}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<style>*{{}}</style>"
    )
    page = await browser.look(f"/ui/tasks/{await ended(api, text, output_format='markdown')}")
    assert "<h1>Title</h1>" in page
    assert "<strong>bold</strong>" in page
    assert "<td>1</td>" in page
    assert 'href="https://example.com" rel="noopener noreferrer nofollow"' in page
    shown = page[page.index('class="prose"') : page.index("As text")]
    assert "javascript:" not in re.sub(r"\(javascript:alert\(1\)\)", "", shown)
    assert not re.search(r"<(img|style|script|svg)|href=\"(javascript|data):", shown)


async def test_json_is_a_tree_and_what_is_too_large_or_no_json_is_text(
    api: httpx.AsyncClient, browser: Browser
) -> None:
    task_id = await ended(api, '{"a": {"b": [1, null, "<b>"]}}', output_format="json")
    page = await browser.look(f"/ui/tasks/{task_id}")
    assert '<span class="key">a</span>' in page
    assert "&lt;b&gt;" in page
    for text in ("no json", "[" * 5000, str(list(range(5000)))):
        page = await browser.look(f"/ui/tasks/{await ended(api, text, output_format='json')}")
        assert '<div class="said">' in page


async def test_texts_among_artifacts_are_shown_and_nothing_in_them_runs(engine: Engine, browser: Browser) -> None:
    _, held = await run(engine)
    made: list[Artifact] = []
    for name, kind, content in (
        ("report.md", "text/markdown", f"# Report {EVIL}".encode()),
        ("table.csv", "text/csv", b"region,revenue\nEurope,4.2\n"),
        ("no.txt", "text/plain", bytes(range(256))),
    ):
        url = await engine.tasks.store_file(name, kind, content)
        digest = hashlib.sha256(content).hexdigest()
        made.append(Artifact(name=name, media_type=kind, url=url, sha256=digest, size=len(content)))
    await engine.work.save_artifacts(held.task.id, held.attempt, made)
    page = await browser.look(f"/ui/tasks/{held.task.id}")
    assert not FORBIDDEN.search(page)
    assert "# Report" in page
    assert "Europe,4.2" in page
    assert page.count('aria-label="Text of ') == 2
    assert page.count(" download>Save") == 3


async def test_html_is_shown_in_a_box_in_which_nothing_runs(api: httpx.AsyncClient, browser: Browser) -> None:
    task_id = await ended(api, f"<h1>Page</h1>{EVIL}", output_format="html")
    page = await browser.look(f"/ui/tasks/{task_id}")
    assert not FORBIDDEN.search(page)
    assert '<iframe class="box" sandbox=""' in page
    response = await browser.client.get(f"/ui/tasks/{task_id}/result.html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy


def recording() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as made:
        made.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        made.writeframes(b"\0\0" * 800)
    return out.getvalue()


async def test_a_file_is_shown_by_what_it_is_and_never_as_a_page(browser: Browser) -> None:
    await browser.look("/ui/new")
    evil = f"{EVIL}.html"
    files = [
        ("files", (evil, b"<script>alert(1)</script>", "text/html")),
        ("files", ("x.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png")),
        ("files", ("x.png", PNG, "text/html")),
        ("files", ("a.pdf", b"%PDF-1.4 x", "application/pdf")),
        ("files", ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml")),
        ("files", ("a.wav", recording(), "audio/wav")),
    ]
    response = await browser.send("/ui/new", {"agent": "a", "text": "x"}, files=files)
    location = response.headers["location"].partition("?")[0]
    page = await browser.look(location)
    assert not FORBIDDEN.search(page)
    assert f'<img src="{location}/files/4"' in page
    assert f'<audio controls preload="none" src="{location}/files/5"' in page
    answers = [await browser.client.get(f"{location}/files/{number}") for number in range(6)]
    kinds = [(each.headers["content-type"], each.headers["content-disposition"].partition(";")[0]) for each in answers]
    assert kinds == [
        ("application/octet-stream", "attachment"),
        ("application/octet-stream", "attachment"),
        ("image/png", "inline"),
        ("application/pdf", "inline"),
        ("image/svg+xml", "inline"),
        ("audio/wav", "inline"),
    ]
    assert answers[4].headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert (await browser.client.get(f"{location}/files/6")).status_code == 404
    assert (
        (await browser.client.get(f"{location}/files/2?save")).headers["content-disposition"].startswith("attachment")
    )


async def test_addresses_of_others_are_links_and_never_fetched(api: httpx.AsyncClient, browser: Browser) -> None:
    files = ["https://user:password@example.com/a.pdf?signature=s3cret", "data:text/plain,hello%20there"]
    task_id = await made(api, input={"text": "x", "files": files})
    page = await browser.look(f"/ui/tasks/{task_id}")
    assert "https://example.com/a.pdf</b>" in page
    assert 'rel="noopener noreferrer nofollow" target="_blank"' in page
    assert (await browser.client.get(f"/ui/tasks/{task_id}/files/0")).status_code == 404
    assert (await browser.client.get(f"/ui/tasks/{task_id}/files/1")).text == "hello there"


async def test_markdown_that_takes_for_ever_is_shown_as_text_and_holds_up_nobody(
    api: httpx.AsyncClient, browser: Browser
) -> None:
    task_id = await ended(api, "[" * 499_000, output_format="markdown")
    looking = asyncio.create_task(browser.look(f"/ui/tasks/{task_id}"))
    waits: list[float] = []
    while not looking.done():
        started = time.monotonic()
        assert (await api.get("/health")).status_code == 200
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.02)
    assert "[" * 1000 in looking.result()
    assert len(waits) > 10, "the server answered meanwhile"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("agent", "no id!", "must be 1 to 128"),
        ("text", "", "Enter a prompt, or add a file"),
        ("output_schema", "{", "This is not valid JSON"),
        ("output_schema", "[]", "must be an object"),
        ("output_schema", '{"type": 7}', "not a valid JSON Schema"),
        ("output_schema", json.dumps({"allOf": [{}] * 49_000}), "longer than 2 seconds"),
        ("output_schema", "[" * 200_001, "the maximum is 200,000 characters"),
    ],
)
async def test_a_form_says_what_does_not_fit_and_keeps_the_rest(
    browser: Browser, field: str, value: str, said: str
) -> None:
    await browser.look("/ui/new")
    fields = {"agent": "analyst", "text": "keep this", "title": "and that", field: value}
    response = await browser.send("/ui/new", fields)
    assert response.status_code == 422
    assert said in response.text
    assert 'aria-invalid="true"' in response.text
    assert "and that" in response.text
    assert 'class="item"' not in await browser.look("/")


async def test_a_task_is_run_again_with_changes_and_its_files(browser: Browser) -> None:
    await browser.look("/ui/new")
    files = [("files", (f"{each}.txt", each.encode(), "text/plain")) for each in ("first", "second")]
    location = (await browser.send("/ui/new", {"agent": "a", "text": "before"}, files=files)).headers["location"]
    origin = location.partition("?")[0].rpartition("/")[2]
    form = await browser.look(f"/ui/new?from={origin}")
    assert "before" in form
    sent = {"agent": "a", "text": "after", "from": origin, "keep": ["1"]}
    page = await browser.look((await browser.send("/ui/new", sent)).headers["location"])
    assert "after" in page
    assert "second.txt" in page
    assert "first.txt" not in page
    foreign = await browser.send("/ui/new", {**sent, "keep": ["7", "x", "-1"]})
    assert "txt" not in await browser.look(foreign.headers["location"].partition("?")[0])


async def test_dead_letters_are_retried_together(api: httpx.AsyncClient, browser: Browser) -> None:
    ids = [await made(api) for _ in range(3)]
    for task_id in ids:
        (
            await api.patch(f"/agent-execution/{task_id}/update", json={"status": "error", "result": "no"})
        ).raise_for_status()
    page = await browser.look("/ui/dead")
    assert all(each in page for each in ids)
    answer = await browser.send("/ui/dead", {"task": [*ids[:2], "unknown"]})
    assert answer.status_code == 303
    page = await browser.look("/ui/dead")
    assert [each in page for each in ids] == [False, False, True]


async def test_ten_thousand_tasks_are_walked_page_by_page(
    serving: Serving, browser: Browser, database_url: str
) -> None:
    execute(
        database_url,
        """insert into worker.tasks (id, organization_id, agent_id, status, created_at, settings, state)
           select 't' || i, 'default', 'a', case when i % 2 = 0 then 'completed' else 'error' end,
                  now() - i * interval '1 second', json_build_object('input', json_build_object('text', i::text)), '{}'
           from generate_series(1, 10000) i""",
    )
    began = time.monotonic()
    path, page, seen = "/", "", list[str]()
    for _ in range(4):
        page = await browser.look(path)
        seen += re.findall(r'id="t-(t\d+)"', page)
        path = re.findall(r'rel="next" href="([^"]+)"', page)[0].replace("&amp;", "&")
    assert seen == [f"t{number}" for number in range(1, 201)]
    assert "5,000" in page
    assert time.monotonic() - began < 10  # a page takes some 30 ms; a machine may be busy
    version = re.findall(r"version=([0-9a-f]{16})", await browser.look("/"))[0]
    assert (await browser.client.get("/ui/live", params={"version": version})).status_code == 204


async def test_a_stream_tells_what_the_page_lacks_and_resumes_by_number(
    api: httpx.AsyncClient, browser: Browser
) -> None:
    task_id = await made(api)
    events = [
        {"type": "chunk", "data": "one\r\ntwo "},
        {"type": "chunk", "data": "three"},
        {"type": "note", "data": {"text": "n"}},
    ]
    (await api.post(f"/agent-execution/{task_id}/events/push", json=events)).raise_for_status()
    await api.delete(f"/agent-execution/{task_id}")

    async def told(**headers: str) -> list[str]:
        answer = await browser.client.get(f"/ui/tasks/{task_id}/stream", headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        said = re.sub(r"(data-ago>).*?<", r"\1<", answer.text)  # "1 s ago", where a moment before it was 0
        return said.split("\n\n")

    whole = await told()
    numbers = [re.findall(r"^id: (\d+)", each)[0] for each in whole if each.startswith("id:")]
    assert numbers == ["1", "2", "3", "4", "5"]
    assert "event: done" in whole[-2]
    assert await told(**{"last-event-id": "3"}) == [whole[0], *whole[4:]]
    assert [each for each in await told(**{"last-event-id": "99999999999999999"}) if "id:" in each] == []


def test_the_vendored_files_are_as_they_were_published() -> None:
    table = re.findall(r"\| (\S+) \| \S+ \| [\d.]+ \| .*? \| `(\S+)` \|", (STATIC / "VENDORED.md").read_text())
    assert {name for name, _ in table} == {"htmx.min.js", "sse.min.js", "swagger-ui-bundle.js", "swagger-ui.css"}
    for name, digest in table:
        assert base64.b64encode(hashlib.sha384((STATIC / name).read_bytes()).digest()).decode() == digest


async def test_the_form_takes_no_file_that_a_worker_would_not_read(start: Start, browse: Browse) -> None:
    browser = await browse(await start(key=KEY, file_bytes=2_000, task_bytes=3_000))
    await browser.sign_in()
    page = await browser.look("/ui/new")
    assert f"{size_words(2_000)} each, {size_words(3_000)} in total" in page
    for sizes, said in (((2_001,), "0.txt has"), ((1_500, 1_501), "The files have")):
        files = [("files", (f"{number}.txt", b"x" * size, "text/plain")) for number, size in enumerate(sizes)]
        answer = await browser.send("/ui/new", {"agent": "a", "text": "read them"}, files=files)
        assert (answer.status_code, said in answer.text, "file-wrong" in answer.text) == (422, True, True)
    files = [("files", (f"{number}.txt", b"x" * 1_500, "text/plain")) for number in range(2)]
    assert (await browser.send("/ui/new", {"agent": "a", "text": "read them"}, files=files)).status_code == 303


async def test_the_page_of_agents_lists_their_tools_with_their_schemas(browser: Browser, engine: Engine) -> None:
    schema = {"type": "object", "properties": {"region": {"type": "string", "description": EVIL}}}
    tool = ToolRecord(name="total_sales", description=EVIL, parameters=schema)
    await engine.work.register(WorkerCard(id=new_id(), name="w", agents=("analyst",), tools=(tool,)))
    page = await browser.look("/ui/agents")
    assert "1 tool" in page
    assert "total_sales" in page
    assert "region" in page
    assert not FORBIDDEN.search(page)


async def test_documents_are_added_to_a_knowledge_base_and_a_question_is_tried(
    browser: Browser, engine: Engine
) -> None:
    await browser.look("/ui/knowledge")
    made = await browser.send("/ui/knowledge", {"name": "<b>rules</b>", "description": "what we may do"})
    page = made.headers["location"]
    assert "&lt;b&gt;rules&lt;/b&gt;" in await browser.look(page)
    files = {"files": ("<i>.md", b"# Food\n\nSoup <script> is served.", "text/markdown")}
    added = await browser.send(page, {"links": "https://example.com/a.txt"}, files=files)
    assert added.headers["location"].endswith("?notice=reading")
    shown = await browser.look(added.headers["location"])
    for each in (
        "&lt;i&gt;.md",
        "a.txt",
        "pending",
        "Documents added. They are read as soon as a worker is free.",
    ):
        assert each in shown
    (base,) = await engine.knowledge.list()
    documents = {each.name: each for each in await engine.knowledge.documents(base.id)}
    for links, said in (("", "Choose a file"), ("/etc/passwd", "A link must begin with")):
        refused = await browser.send(page, {"links": links})
        assert (refused.status_code, said in refused.text) == (422, True)
    await ingest_here(engine, str(documents["a.txt"].task_id))
    shown = await browser.look(f"{page}?question=soup")
    assert "Soup &lt;script&gt; is served." in shown
    assert "a.txt could not be read" in shown
    assert "No results" in await browser.look(f"{page}?question=zebra")
    await browser.send(f"{page}/remove", {"document": documents["a.txt"].id})
    assert "a.txt" not in await browser.look(page)
    assert (await browser.send("/ui/knowledge", {"name": " "})).status_code == 422
    assert "There is no knowledge base" in await browser.look("/ui/knowledge/kb-nobody", 404)
