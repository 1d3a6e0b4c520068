"""Agno's values as JSON and back: data that may come from anybody, and never more than that."""

import json
from pathlib import Path
from typing import Any

import pytest
from agno.media import File, Image
from agno.tools.function import ToolResult
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.agents.translation.values import RECORDS, UnknownRecord, packed, unpacked


def again(value: Any) -> Any:
    return unpacked(json.loads(json.dumps(packed(value))))


def test_media_in_a_file_are_written_with_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    path.write_bytes(b"\x89PNG chart")
    result = again(ToolResult(content="a chart", images=[Image(filepath=path)], files=[File(filepath=path)]))
    path.unlink()
    assert [each.content for each in (*result.images, *result.files)] == [b"\x89PNG chart"] * 2
    assert result.images[0].filepath is None


def test_an_address_of_the_web_stays_one() -> None:
    assert again(Image(url="https://example.com/a.png")).url == "https://example.com/a.png"


@pytest.mark.parametrize("kind", ["Audio", "File", "Image", "Video"])
@pytest.mark.parametrize(
    ("field", "value"), [("filepath", "/etc/passwd"), ("url", "file:///etc/passwd"), ("url", "/etc/passwd")]
)
def test_no_row_names_a_file_of_this_machine(kind: str, field: str, value: str) -> None:
    with pytest.raises(UnknownRecord, match=kind):
        unpacked({"$": kind, "value": {field: value}})


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "metadata.google.internal.",
        "168.63.129.16",
        "u:p@169.254.169.254:80",
    ],
)
def test_no_row_has_a_machine_tell_its_credentials(host: str) -> None:
    with pytest.raises(UnknownRecord, match="Image"):
        unpacked({"$": "Image", "value": {"url": f"http://{host}/latest/meta-data"}})


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.1:9000", "10.0.0.7", "[2001:db8::1]", "1.2.3.4", "256.1", "08"]
)
def test_other_hosts_are_what_the_tool_said(host: str) -> None:
    assert unpacked({"$": "Image", "value": {"url": f"http://{host}/a.png"}}).url == f"http://{host}/a.png"


def test_a_row_that_is_nested_without_end_is_refused() -> None:
    value: Any = "x"
    for _ in range(20_000):
        value = [value]
    with pytest.raises(UnknownRecord, match="nested"):
        unpacked(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$", "value", "url", "content", "role"]), inner, max_size=3)
        | st.fixed_dictionaries(
            {"$": st.sampled_from([*RECORDS, "tuple", "dict", "bytes", "os.system"]), "value": inner}
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)  # a busy machine is not a failure
@given(JSON)
def test_whatever_a_row_holds_is_a_value_or_refused(value: Any) -> None:
    try:
        unpacked(value)
    except UnknownRecord:
        return
