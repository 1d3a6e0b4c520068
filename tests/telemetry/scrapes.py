"""Reading what Prometheus would read, with Prometheus' own parser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


class Scrape:
    """One answer of ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.text = text

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a sample, added up over labels that are not named; none: there is no such sample."""
        found = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == f"agno_worker_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


async def scrape(url: str, **headers: str) -> Scrape:
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return Scrape(answer.text)


def documented() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Name, kind, labels and help of every row of the document's tables."""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `agno_worker_"):
            name, kind, labels, said = (cell.strip() for cell in line.strip("|").split("|"))
            yield name.strip("`"), kind, tuple(each.strip("` ") for each in labels.split(",") if each.strip()), said
